/** One kept-alive connection with one request under way, raw, which tells exactly how a request ended. */
import type { Socket } from "bun";
import type { Answer } from "./sender.ts";

export type Lane = Disposable & {
  readonly port: number;
  /** Sends a whole request and waits for its whole answer. Never rejects. Connects again where the connection is gone. */
  readonly send: (request: Uint8Array, timeoutMs: number) => Promise<Answer>;
};

type Outcome = Omit<Answer, "writtenMs">;
type Waiting = { readonly settle: (answer: Answer) => void; rest: Uint8Array; text: string; writtenMs: number | null };

/** Makes a lane to 127.0.0.1; it connects with the first request. */
export function openLane(port: number): Lane {
  let socket: Socket | null = null;
  let waiting: Waiting | null = null;

  const settle = (outcome: Outcome): void => {
    const asked = waiting;
    waiting = null;
    asked?.settle({ ...outcome, writtenMs: asked.writtenMs });
  };
  const lose = (lost: Socket | null): void => {
    if (lost !== socket) return;
    socket = null;
    const text = waiting?.text ?? "";
    const whole = text === "" ? null : readAnswer(text, true);
    settle(whole ?? { status: 0, how: text === "" ? "cut" : "torn", retryAfter: null });
  };
  const push = (target: Socket): void => {
    if (waiting === null || waiting.rest.length === 0) return;
    waiting.rest = waiting.rest.subarray(Math.max(0, target.write(waiting.rest)));
    if (waiting.rest.length === 0) waiting.writtenMs = performance.now();
  };

  const connect = async (): Promise<Socket | null> => {
    try {
      return await Bun.connect({
        hostname: "127.0.0.1",
        port,
        socket: {
          data(from, chunk) {
            if (from !== socket || waiting === null) return;
            waiting.text += chunk.toString("latin1");
            const answer = readAnswer(waiting.text, false);
            if (answer === null) return;
            if (/\r\nconnection: *close/i.test(waiting.text)) {
              socket = null;
              from.end();
            }
            settle(answer);
          },
          drain: push,
          close: lose,
          end: lose,
          error: lose,
        },
      });
    } catch {
      return null;
    }
  };

  return {
    port,
    send: async (request, timeoutMs) => {
      socket ??= await connect();
      const target = socket;
      if (target === null) return { status: 0, how: "refused", retryAfter: null, writtenMs: null };
      const { promise, resolve } = Promise.withResolvers<Answer>();
      waiting = { settle: resolve, rest: request, text: "", writtenMs: null };
      const timer = setTimeout(() => {
        socket = null;
        settle({ status: 0, how: "late", retryAfter: null });
        target.terminate();
      }, timeoutMs);
      push(target);
      try {
        return await promise;
      } finally {
        clearTimeout(timer);
      }
    },
    [Symbol.dispose]: () => {
      socket?.terminate();
      socket = null;
    },
  };
}

/** The answer in `text` once it is whole; without a length it is whole when the connection has `closed`. */
function readAnswer(text: string, closed: boolean): Outcome | null {
  const head = text.indexOf("\r\n\r\n");
  if (head === -1 || !text.startsWith("HTTP/1.")) return null;
  const headers = text.slice(0, head);
  const length = /\r\ncontent-length: *(\d+)/i.exec(headers)?.[1];
  const body = text.length - head - 4;
  const chunked = /\r\ntransfer-encoding: *chunked/i.test(headers);
  const whole = length !== undefined ? body >= Number(length) : chunked ? text.endsWith("0\r\n\r\n") : closed;
  if (!whole) return null;
  const retryAfter = /\r\nretry-after: *([^\r]+)/i.exec(headers)?.[1] ?? null;
  return { status: Number(text.slice(9, 12)), how: "whole", retryAfter };
}
