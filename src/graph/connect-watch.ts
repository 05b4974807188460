import { connect } from "node:net";
import type { Clock } from "../lib/clock.ts";

/** Opens a TCP connection to `url`'s host and closes it; settles when it stood, was refused or `signal` fired. Never fails. */
export type ProbeConnect = (url: URL, signal: AbortSignal) => Promise<void>;

/** A reply that is on its way this soon needs no probe at all; about ten times Meta's ordinary answer. */
export const probeAfterMs = 1000;

const defaultPorts: Readonly<Record<string, number>> = { "https:": 443, "http:": 80 };

/** The machine's own network. */
export const probeTcp: ProbeConnect = (url, signal) =>
  new Promise((resolve) => {
    const host = url.hostname.replace(/^\[|\]$/g, "");
    const socket = connect({ host, port: url.port === "" ? (defaultPorts[url.protocol] ?? 443) : Number(url.port) });
    const end = () => {
      socket.destroy();
      resolve();
    };
    // Refused or unknown host: fetch meets the same and says so.
    socket.once("connect", end).once("error", end);
    signal.addEventListener("abort", end, { once: true });
  });

/** Watches one request until its headers are there. */
export type ConnectWatch = {
  /** Calls `onLate` where no connection can be made within the time. The returned function ends the watch. */
  readonly watch: (url: string, onLate: () => void) => () => void;
  /** Notes that the host has just answered. */
  readonly hear: (url: string) => void;
};

/**
 * The connect time-out that fetch does not have. fetch tells nothing between the call and the headers, so a host that takes
 * no connection looks like one that thinks. So: where no headers came for `probeAfterMs`, and the host has answered nobody
 * else lately, a bare TCP connection is tried beside the request. Where even that does not stand `timeoutMs` after the
 * request began, the host is taken to be unreachable. Covers name look-up and TCP; a TLS handshake that hangs is left
 * to the total time-out. Not for a machine behind a forward proxy that is the only way out: hand in a probe that settles.
 */
export function createConnectWatch(
  { clock, probe }: { readonly clock: Clock; readonly probe: ProbeConnect },
  timeoutMs: number,
): ConnectWatch {
  const heardAtMs = new Map<string, number>();

  function watch(text: string, onLate: () => void): () => void {
    const url = new URL(text);
    // Made with the probe: nearly every answer is there before one begins.
    let ended: AbortController | null = null;
    let cancelLate: () => void = () => {};
    const cancelProbe = clock.after(Math.min(probeAfterMs, timeoutMs / 2), () => {
      const heardMs = heardAtMs.get(url.origin);
      if (heardMs !== undefined && clock.monotonicMs() - heardMs < timeoutMs) return;
      cancelLate = clock.after(timeoutMs - Math.min(probeAfterMs, timeoutMs / 2), onLate);
      ended = new AbortController();
      void probe(url, ended.signal).then(() => cancelLate());
    });
    return () => {
      cancelProbe();
      cancelLate();
      ended?.abort();
    };
  }

  // Two hosts at the most: the map does not grow.
  return { watch, hear: (text) => void heardAtMs.set(new URL(text).origin, clock.monotonicMs()) };
}
