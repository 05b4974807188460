/**
 * The load of the overload scenario, a process of its own, so that it is not slowed by what it measures, nor by itself:
 * a pause of its own garbage collector would count as the product's. So it makes next to no garbage: raw sockets, requests
 * signed before the phase and patched into one buffer, of each answer some bytes, times in typed arrays. Spoken to in lines of JSON:
 *
 *   → { "phase": "closed", "lanes": 64, "ms": 4000 }
 *   → { "phase": "open", "lanes": 6000, "perSecond": 9000, "ms": 6000 }
 *   ← { "sent": …, "acknowledged": [from, to, …], … }     one LoadReport a phase
 *
 * Delivery `n` is one message whose mid ends in `n`, 9 digits.
 */
import type { Socket } from "bun";
import { percentile } from "../percentile.ts";

export type LoadInput = {
  readonly port: number;
  readonly secret: string;
  readonly accountId: string;
  readonly people: readonly string[];
};
export type LoadPhase = {
  readonly phase: "closed" | "open";
  /** Connections at most; an open loop opens them as it needs them. */
  readonly lanes: number;
  readonly ms: number;
  /** Of an open loop. */
  readonly perSecond?: number;
};
export type LoadReport = {
  readonly sent: number;
  /** Requests of an open loop that found no free connection: they were never written. */
  readonly unsent: number;
  readonly acknowledged: number;
  /** Numbers of the acknowledged deliveries, as base64 of one bit each. */
  readonly acknowledgedBits: string;
  readonly statuses: Readonly<Record<string, number>>;
  readonly shedWithoutRetryAfter: number;
  /** Time over which requests were written, and until the last answer, in ms. */
  readonly sendingMs: number;
  readonly totalMs: number;
  /** From the moment a request was written, in ms. */
  readonly ackP50Ms: number;
  readonly ackP99Ms: number;
  readonly shedP50Ms: number;
  readonly shedP99Ms: number;
  /** Connections open at most. */
  readonly connections: number;
  /** This process's own processor time over the phase, in seconds. */
  readonly cpuSeconds: number;
};

const serialDigits = 9;
const signatureDigits = 64;
/** Requests signed before a closed phase, a second of it: more than can be answered. Beyond that they are signed as they are sent. */
const signedPerSecond = 30_000;
const answersMsMax = 15_000; // After the last request; the product answers within 3 s.
const tickMs = 1;
/**
 * A connection that was idle for longer is not used again: the product closes them after some 10 s, and a request that
 * crosses that on its way is nobody's fault. Clients that keep connections give up theirs first.
 */
const idleMsMax = 4_000;

type Link = { socket: Socket | null; serial: number; sentMs: number; idleSinceMs: number; busy: boolean };

/** Patches serial, person and signature into one buffer; the answer is only good until the next call. */
function createWriter({ port, secret, accountId, people }: LoadInput) {
  const personDigits = people[0]?.length ?? 0;
  const bodyText =
    `{"object":"instagram","entry":[{"time":${Date.now()},"id":"${accountId}","messaging":[{"sender":{"id":"${"P".repeat(personDigits)}"},` +
    `"recipient":{"id":"${accountId}"},"timestamp":${Date.now()},"message":{"mid":"aWdfZAG1faXRlbToxOklHTWVzc2FnZAUlEOjE3ODQx${"0".repeat(serialDigits)}",` +
    `"text":"How long does shipping to Lisbon take, and can I pay on delivery?"}}]}]}`;
  const head =
    `POST /webhooks/instagram HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUser-Agent: facebookexternalua\r\nAccept: */*\r\n` +
    `Content-Type: application/json\r\nX-Hub-Signature-256: sha256=${"S".repeat(signatureDigits)}\r\nContent-Length: ${bodyText.length}\r\n\r\n`;
  const request = Buffer.from(head + bodyText, "latin1");
  const body = request.subarray(head.length);
  const signatureAt = request.indexOf("S".repeat(signatureDigits));
  const personAt = request.indexOf("P".repeat(personDigits));
  const serialAt = request.indexOf(`${"0".repeat(serialDigits)}"`);
  const persons = people.map((person) => Buffer.from(person, "latin1"));
  let signatures = Buffer.alloc(0);
  let signedFrom = 0;

  const fill = (serial: number): void => {
    for (let rest = serial, at = serialAt + serialDigits - 1; at >= serialAt; at -= 1) {
      request[at] = 48 + (rest % 10);
      rest = Math.floor(rest / 10);
    }
    const person = persons[serial % persons.length];
    if (person !== undefined) request.set(person, personAt);
  };
  const sign = (into: Buffer, at: number): void => {
    into.write(new Bun.CryptoHasher("sha256", secret).update(body).digest("hex"), at, "latin1");
  };
  return {
    /** Signs so many deliveries ahead. */
    prepare(from: number, count: number): void {
      signatures = Buffer.allocUnsafe(count * signatureDigits);
      signedFrom = from;
      for (let at = 0; at < count; at += 1) {
        fill(from + at);
        sign(signatures, at * signatureDigits);
      }
      Bun.gc(true);
    },
    write(serial: number): Buffer {
      fill(serial);
      const at = (serial - signedFrom) * signatureDigits;
      if (at < 0 || at >= signatures.length) sign(request, signatureAt);
      else signatures.copy(request, signatureAt, at, at + signatureDigits);
      return request;
    },
  };
}

/** Numbers without a heap object each, in chunks: one that grew by copying would stop the load for it. */
function createTimes() {
  const chunks: Float32Array[] = [];
  let length = 0;
  return {
    push(ms: number): void {
      const at = length % timesPerChunk;
      if (at === 0) chunks.push(new Float32Array(timesPerChunk));
      (chunks.at(-1) as Float32Array)[at] = ms;
      length += 1;
    },
    all(): Float32Array {
      const all = new Float32Array(chunks.length * timesPerChunk);
      for (const [at, chunk] of chunks.entries()) all.set(chunk, at * timesPerChunk);
      return all.subarray(0, length);
    },
    length: () => length,
  };
}
const timesPerChunk = 65_536;

const retryAfter = Buffer.from("\r\nRetry-After: ", "latin1");
/** Whether an answer says in seconds when to come again. */
function saysWhen(answer: Buffer): boolean {
  const at = answer.indexOf(retryAfter);
  if (at < 0) return /\r\nretry-after: *\d/i.test(answer.toString("latin1"));
  const digit = answer[at + retryAfter.length] ?? 0;
  return digit >= 48 && digit <= 57;
}

/** The status of an answer that begins with its first line; 0 where it is none. */
const statusOf = (answer: Buffer): number =>
  ((answer[9] ?? 48) - 48) * 100 + ((answer[10] ?? 48) - 48) * 10 + (answer[11] ?? 48) - 48;

async function runPhase(
  { phase, lanes, ms, perSecond = 0 }: LoadPhase,
  port: number,
  { prepare, write }: ReturnType<typeof createWriter>,
  firstSerial: number,
): Promise<LoadReport> {
  const idle: Link[] = [];
  const sockets = new Set<Socket>();
  const statuses = new Map<number, number>();
  const ackMs = createTimes();
  const shedMs = createTimes();
  const expected = Math.ceil(((perSecond || signedPerSecond) * ms) / 1000);
  prepare(firstSerial, expected);
  /** One bit a delivery. */
  let acknowledged = new Uint8Array((expected >> 3) + 1);
  const cpuBefore = process.cpuUsage();
  const startMs = performance.now();
  const counts = {
    serial: firstSerial,
    sent: 0,
    unsent: 0,
    busy: 0,
    opening: 0,
    shedBare: 0,
    connections: 0,
    connectionsMost: 0,
  };
  let sending = true;

  const send = (link: Link): void => {
    const serial = counts.serial;
    counts.serial += 1;
    const request = write(serial);
    link.serial = serial;
    link.busy = true;
    counts.sent += 1;
    counts.busy += 1;
    link.sentMs = performance.now();
    // An idle connection's buffer takes a small request whole.
    if (link.socket?.write(request) !== request.length) end(link, 0);
  };
  const acknowledge = (at: number): void => {
    if (at >> 3 >= acknowledged.length) {
      const more = new Uint8Array(2 * acknowledged.length);
      more.set(acknowledged);
      acknowledged = more;
    }
    acknowledged[at >> 3] = (acknowledged[at >> 3] ?? 0) | (1 << (at & 7));
  };
  const end = (link: Link, status: number): void => {
    if (!link.busy) return;
    link.busy = false;
    counts.busy -= 1;
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
    const tookMs = performance.now() - link.sentMs;
    if (status === 200) {
      acknowledge(link.serial - firstSerial);
      ackMs.push(tookMs);
    } else if (status === 503) shedMs.push(tookMs);
    if (status === 0) return;
    if (sending && phase === "closed") send(link);
    else rest(link);
  };
  const rest = (link: Link): void => {
    link.idleSinceMs = performance.now();
    idle.push(link);
  };
  /** The connection that was used last; those that were idle for too long are closed. */
  const takeIdle = (): Link | undefined => {
    for (let link = idle.pop(); link !== undefined; link = idle.pop()) {
      if (link.socket === null) continue;
      if (performance.now() - link.idleSinceMs < idleMsMax) return link;
      for (const stale of [link, ...idle.splice(0)]) stale.socket?.terminate();
    }
    return undefined;
  };
  const openLink = async (): Promise<Link | null> => {
    const link: Link = { socket: null, serial: 0, sentMs: 0, idleSinceMs: 0, busy: false };
    counts.opening += 1;
    try {
      link.socket = await Bun.connect({
        hostname: "127.0.0.1",
        port,
        socket: {
          data(_, chunk) {
            // One answer is one packet: the first line tells all but whether a refusal says when to come again.
            const status = statusOf(chunk);
            if (status === 503 && !saysWhen(chunk)) counts.shedBare += 1;
            end(link, status);
          },
          close: () => {
            end(link, 0);
            counts.connections -= 1;
            if (link.socket !== null) sockets.delete(link.socket);
            link.socket = null;
          },
          error: () => end(link, 0),
        },
      });
      sockets.add(link.socket);
      counts.connections += 1;
      counts.connectionsMost = Math.max(counts.connectionsMost, counts.connections);
      return link;
    } catch {
      return null;
    } finally {
      counts.opening -= 1;
    }
  };

  if (phase === "closed")
    for (const link of await Promise.all(Array.from({ length: lanes }, openLink))) if (link) send(link);
  if (phase === "open") {
    let due = 0;
    for (let nowMs = performance.now(); nowMs - startMs < ms; nowMs = performance.now()) {
      due = Math.floor(((nowMs - startMs) / 1000) * perSecond);
      while (counts.sent + counts.unsent < due) {
        const link = takeIdle();
        if (link === undefined) break;
        send(link);
      }
      const missing = due - counts.sent - counts.unsent;
      const room = lanes - counts.connections - counts.opening;
      for (let more = Math.min(missing, room, 200); more > 0; more -= 1)
        void openLink().then((link) => {
          if (link !== null) rest(link);
        });
      // Whoever found no connection within 50 ms is not sent later: that would be a closed loop again.
      counts.unsent += Math.max(0, missing - Math.ceil(perSecond * 0.05) - counts.opening);
      await Bun.sleep(tickMs);
    }
  } else await Bun.sleep(ms);
  sending = false;
  const sendingMs = performance.now() - startMs;
  while (counts.busy > 0 && performance.now() - startMs < sendingMs + answersMsMax) await Bun.sleep(2);
  const totalMs = performance.now() - startMs;
  for (const socket of sockets) socket.terminate();
  const cpu = process.cpuUsage(cpuBefore);
  return {
    sent: counts.sent,
    unsent: counts.unsent,
    acknowledged: ackMs.length(),
    acknowledgedBits: Buffer.from(acknowledged.subarray(0, ((counts.serial - firstSerial) >> 3) + 1)).toString(
      "base64",
    ),
    statuses: Object.fromEntries(statuses),
    shedWithoutRetryAfter: counts.shedBare,
    sendingMs,
    totalMs,
    ackP50Ms: percentile(ackMs.all(), 0.5),
    ackP99Ms: percentile(ackMs.all(), 0.99),
    shedP50Ms: percentile(shedMs.all(), 0.5),
    shedP99Ms: percentile(shedMs.all(), 0.99),
    connections: counts.connectionsMost,
    cpuSeconds: (cpu.user + cpu.system) / 1e6,
  };
}

if (import.meta.main) {
  const input = JSON.parse(process.argv[2] ?? "null") as LoadInput;
  const writer = createWriter(input);
  let serial = 0;
  for await (const line of console) {
    const report = await runPhase(JSON.parse(line) as LoadPhase, input.port, writer, serial);
    serial += report.sent;
    process.stdout.write(`${JSON.stringify(report)}\n`);
  }
}
