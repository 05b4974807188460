/**
 * The load of the overload scenario, a process of its own, so that it is not slowed by what it measures: raw sockets,
 * requests patched and signed in one buffer, of each answer the first line alone. Spoken to in lines of JSON:
 *
 *   → { "phase": "closed", "lanes": 64, "ms": 4000 }
 *   → { "phase": "open", "lanes": 6000, "perSecond": 9000, "ms": 6000 }
 *   ← { "sent": …, "acknowledged": [from, to, …], … }     one LoadReport a phase
 *
 * Delivery `n` is one message whose mid ends in `n`, 9 digits.
 */
import type { Socket } from "bun";
import { percentile } from "./hostile-kit.ts";

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
const answersMsMax = 15_000; // After the last request; the product answers within 3 s.
const tickMs = 1;
/**
 * A connection that was idle for longer is not used again: the product closes them after some 10 s, and a request that
 * crosses that on its way is nobody's fault. Clients that keep connections give up theirs first.
 */
const idleMsMax = 4_000;

type Link = { socket: Socket | null; serial: number; sentMs: number; idleSinceMs: number; busy: boolean };

/** Patches serial and signature into one buffer; the answer is only good until the next call. */
function createWriter({ port, secret, accountId, people }: LoadInput) {
  const personDigits = people[0]?.length ?? 0;
  const bodyText =
    `{"object":"instagram","entry":[{"time":${Date.now()},"id":"${accountId}","messaging":[{"sender":{"id":"${"P".repeat(personDigits)}"},` +
    `"recipient":{"id":"${accountId}"},"timestamp":${Date.now()},"message":{"mid":"aWdfZAG1faXRlbToxOklHTWVzc2FnZAUlEOjE3ODQx${"0".repeat(serialDigits)}",` +
    `"text":"How long does shipping to Lisbon take, and can I pay on delivery?"}}]}]}`;
  const head =
    `POST /webhooks/instagram HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUser-Agent: facebookexternalua\r\nAccept: */*\r\n` +
    `Content-Type: application/json\r\nX-Hub-Signature-256: sha256=${"S".repeat(64)}\r\nContent-Length: ${bodyText.length}\r\n\r\n`;
  const request = Buffer.from(head + bodyText, "latin1");
  const body = request.subarray(head.length);
  const signatureAt = request.indexOf("S".repeat(64));
  const personAt = request.indexOf("P".repeat(personDigits));
  const serialAt = request.indexOf(`${"0".repeat(serialDigits)}"`);
  return (serial: number): Buffer => {
    request.write(String(serial).padStart(serialDigits, "0"), serialAt, "latin1");
    request.write(people[serial % people.length] ?? "", personAt, "latin1");
    request.write(new Bun.CryptoHasher("sha256", secret).update(body).digest("hex"), signatureAt, "latin1");
    return request;
  };
}

async function runPhase(
  { phase, lanes, ms, perSecond = 0 }: LoadPhase,
  port: number,
  write: (serial: number) => Buffer,
  firstSerial: number,
): Promise<LoadReport> {
  const idle: Link[] = [];
  const sockets = new Set<Socket>();
  const statuses: Record<string, number> = {};
  const ackMs: number[] = [];
  const shedMs: number[] = [];
  const acknowledged: number[] = [];
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
    if (link.socket?.write(request) !== request.length) end(link, "0");
  };
  const end = (link: Link, status: string): void => {
    if (!link.busy) return;
    link.busy = false;
    counts.busy -= 1;
    statuses[status] = (statuses[status] ?? 0) + 1;
    const tookMs = performance.now() - link.sentMs;
    if (status === "200") {
      acknowledged.push(link.serial);
      ackMs.push(tookMs);
    } else if (status === "503") shedMs.push(tookMs);
    if (status === "0") return;
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
            const status = chunk.toString("latin1", 9, 12);
            if (status === "503" && !/\r\nretry-after: *\d/i.test(chunk.toString("latin1"))) counts.shedBare += 1;
            end(link, status);
          },
          close: () => {
            end(link, "0");
            counts.connections -= 1;
            if (link.socket !== null) sockets.delete(link.socket);
            link.socket = null;
          },
          error: () => end(link, "0"),
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
  const bits = new Uint8Array(((counts.serial - firstSerial) >> 3) + 1);
  for (const serial of acknowledged) {
    const at = serial - firstSerial;
    bits[at >> 3] = (bits[at >> 3] ?? 0) | (1 << (at & 7));
  }
  return {
    sent: counts.sent,
    unsent: counts.unsent,
    acknowledged: acknowledged.length,
    acknowledgedBits: Buffer.from(bits).toString("base64"),
    statuses,
    shedWithoutRetryAfter: counts.shedBare,
    sendingMs,
    totalMs,
    ackP50Ms: percentile(ackMs, 0.5),
    ackP99Ms: percentile(ackMs, 0.99),
    shedP50Ms: percentile(shedMs, 0.5),
    shedP99Ms: percentile(shedMs, 0.99),
    connections: counts.connectionsMost,
    cpuSeconds: (cpu.user + cpu.system) / 1e6,
  };
}

if (import.meta.main) {
  const input = JSON.parse(process.argv[2] ?? "null") as LoadInput;
  const write = createWriter(input);
  let serial = 0;
  for await (const line of console) {
    const report = await runPhase(JSON.parse(line) as LoadPhase, input.port, write, serial);
    serial += report.sent;
    process.stdout.write(`${JSON.stringify(report)}\n`);
  }
}
