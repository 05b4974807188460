import { Duplex } from "node:stream";
import type { PGlite } from "@electric-sql/pglite";

/**
 * A stream that looks to postgres.js like a TCP socket: whole frontend messages go to PGlite in order, one at a time.
 * (A socket server in front of PGlite mixes up concurrent clients; there is one session, so there is one stream.)
 */
export function createPgliteSocket(pglite: PGlite): Duplex {
  let turn: Promise<unknown> = Promise.resolve();
  let pending: Buffer = Buffer.alloc(0);
  let started = false; // the start-up message has no type byte, all later ones have

  const takeWholeMessages = (): Uint8Array | null => {
    let whole = 0;
    for (;;) {
      const typeBytes = started ? 1 : 0;
      if (pending.length < whole + typeBytes + 4) break;
      const length = pending.readUInt32BE(whole + typeBytes) + typeBytes;
      if (pending.length < whole + length) break;
      whole += length;
      started = true;
    }
    if (whole === 0) return null;
    const messages = new Uint8Array(pending.subarray(0, whole));
    pending = pending.subarray(whole);
    return messages;
  };

  const stream = new Duplex({
    read() {},
    final(done) {
      stream.push(null); // postgres.js waits for its socket to close
      done();
    },
    write(bytes: Buffer, _encoding, done) {
      pending = pending.length > 0 ? Buffer.concat([pending, bytes]) : bytes;
      const messages = takeWholeMessages();
      if (messages === null) {
        done();
        return;
      }
      turn = turn
        .then(() => pglite.execProtocolRaw(messages, { throwOnError: false }))
        .then((answer) => {
          if (answer.length > 0) stream.push(Buffer.from(answer));
          done();
        })
        .catch((error: Error) => done(error));
    },
  });
  // What postgres.js calls on a net.Socket and a Duplex has not.
  const same = () => stream;
  Object.assign(stream, { setKeepAlive: same, setNoDelay: same, setTimeout: same, ref: same, unref: same });
  Object.assign(stream, { connect: () => {}, readyState: "open" });
  return stream;
}
