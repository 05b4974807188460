/**
 * Answers that break below JSON: none at all, one byte a second, cut off, far too long, a page of HTML, a redirect
 * inwards. Each ends by itself, at the latest when the box closes.
 */
import { type Clock, wait } from "../lib/clock.ts";
import type { TransportFault } from "./trouble.ts";

/** A peer that never answers is let go after this; no client of sense waits as long. */
export const hangMs = 120_000;
export const hugeBytes = 50 * 1024 * 1024;
const trickleStepMs = 1000;
const cutOffAfterMs = 30;
const hugeChunkBytes = 256 * 1024;
const page = "<!DOCTYPE html><html><head><title>Error</title></head><body>Sorry, something went wrong.</body></html>";

export type FaultContext = {
  readonly clock: Pick<Clock, "after">;
  readonly signal: AbortSignal;
  readonly origin: string;
  /** The answer as it would have been. */
  readonly text: string;
  readonly headers: Readonly<Record<string, string>>;
};

/** Answers with one fault. */
export async function answerFault(fault: TransportFault, context: FaultContext): Promise<Response> {
  const { clock, signal, origin, text, headers } = context;
  switch (fault) {
    case "hang":
      await wait(clock, hangMs, signal);
      return new Response(null, { status: 504 });
    case "trickle":
      return new Response(createTrickle(text, context), { headers });
    case "html":
      return new Response(page, { headers: { "Content-Type": "text/html; charset=utf-8" } });
    case "bad_gateway":
      return new Response(page, { status: 502, headers: { "Content-Type": "text/html; charset=utf-8" } });
    case "cut_off":
      return new Response(createCutOff(text, context), { headers });
    case "huge":
      return new Response(createHuge(), { headers });
    case "redirect":
      // Who follows shows up in the box's own count of /inside.
      return new Response(null, { status: 302, headers: { Location: `${origin}/inside` } });
    case "empty_body":
      return new Response("", { headers });
    case "truncated_json":
      return new Response(text.slice(0, text.length >> 1), { headers });
  }
}

function createTrickle(text: string, { clock, signal }: FaultContext): ReadableStream<Uint8Array> {
  const bytes = new TextEncoder().encode(text);
  const ended = new AbortController();
  let at = 0;
  return new ReadableStream({
    pull: async (controller) => {
      if (at > 0) await wait(clock, trickleStepMs, AbortSignal.any([signal, ended.signal]));
      if (signal.aborted || ended.signal.aborted || at >= bytes.length) return controller.close();
      controller.enqueue(bytes.subarray(at, at + 1));
      at += 1;
    },
    cancel: () => ended.abort(),
  });
}

/** Half of the answer, then the connection breaks in the middle of the body. */
function createCutOff(text: string, { clock, signal }: FaultContext): ReadableStream<Uint8Array> {
  const bytes = new TextEncoder().encode(text.slice(0, Math.max(1, text.length >> 1)));
  let sent = false;
  return new ReadableStream({
    pull: async (controller) => {
      if (!sent) {
        sent = true;
        return controller.enqueue(bytes);
      }
      await wait(clock, cutOffAfterMs, signal); // So that the half is out before the end comes.
      controller.error(undefined); // Without an Error, which Bun would print.
    },
  });
}

/** Valid JSON of 50 MB: a reader that waits for the end pays for it. */
function createHuge(): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  const filler = new Uint8Array(hugeChunkBytes).fill(0x78);
  let left = hugeBytes;
  let opened = false;
  return new ReadableStream({
    pull: (controller) => {
      if (!opened) controller.enqueue(encoder.encode('{"name":"'));
      opened = true;
      if (left > 0) {
        controller.enqueue(filler);
        left -= hugeChunkBytes;
        return;
      }
      controller.enqueue(encoder.encode('"}'));
      controller.close();
    },
  });
}
