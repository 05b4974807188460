/** One kept-alive connection with one request under way: raw, so that the load costs a fraction of what it measures. */

export type Lane = { readonly send: (request: Buffer) => Promise<number> };

const headEnd = "\r\n\r\n";

/** Connects. `send()` answers the status code once the whole answer is in; it rejects where the connection ends. */
export async function openLane(port: number): Promise<Lane> {
  let partial = "";
  let settle: { resolve: (status: number) => void; reject: (error: Error) => void } | null = null;
  const fail = (error: Error) => {
    settle?.reject(error);
    settle = null;
  };
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port,
    socket: {
      data(_, chunk) {
        partial += chunk.toString("latin1");
        const status = readWholeAnswer(partial);
        if (status === null) return;
        partial = "";
        const { resolve } = settle ?? {};
        settle = null;
        resolve?.(status);
      },
      close: () => fail(new Error("Cannot go on: the server closed a connection of the load")),
      error: (_, error) => fail(error),
    },
  });
  return {
    send: (request) =>
      new Promise((resolve, reject) => {
        settle = { resolve, reject };
        if (socket.write(request) !== request.length) fail(new Error("Cannot go on: a socket took half a request"));
      }),
  };
}

/** The status code of an answer that is complete, by its Content-Length; null while bytes are missing. */
function readWholeAnswer(text: string): number | null {
  const head = text.indexOf(headEnd);
  if (head === -1) return null;
  const length = /content-length: *(\d+)/i.exec(text)?.[1];
  if (length === undefined) throw new Error("Cannot go on: an answer has no Content-Length");
  return text.length >= head + headEnd.length + Number(length) ? Number(text.slice(9, 12)) : null;
}
