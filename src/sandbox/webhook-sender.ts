/**
 * Sends signed bodies and tries again as Meta does: at once, then ever more rarely, and in the end not at all. The
 * one impure line of the generator.
 */
import { type Clock, wait } from "../lib/clock.ts";
import { signWebhook } from "./webhooks.ts";

/**
 * Pauses before each further attempt. Meta goes on for 36 hours (meta-platform.md §1.4); the box stops after a
 * quarter of an hour, by when every test has ended.
 */
export const retryDelaysMsDefault = [0, 1000, 5000, 15_000, 60_000, 240_000, 600_000] as const;
/** "200 OK within 5 s." */
export const answerTimeoutMs = 5000;

export type SenderOptions = {
  url: string;
  appSecret: string;
  clock: Clock;
  signal: AbortSignal;
  retryDelaysMs: readonly number[];
  fetch: (url: string, init: RequestInit) => Promise<Response>;
};
export type SentBody = {
  readonly accepted: boolean;
  readonly attempts: number;
  /** The HTTP status of each attempt, 0 where there was no answer. */
  readonly statuses: readonly number[];
};
export type SendWebhook = (body: string) => Promise<SentBody>;

/** Makes the sender of one receiver. It never throws: a body that nobody took is `accepted: false`. */
export function createWebhookSender(options: SenderOptions): SendWebhook {
  const { clock, signal, retryDelaysMs } = options;
  return async (body) => {
    // Signed once: the bytes and the signature are the same at each attempt.
    const headers = signWebhook(body, options.appSecret);
    const statuses: number[] = [];
    for (let attempt = 0; attempt <= retryDelaysMs.length; attempt += 1) {
      if (attempt > 0 && !(await wait(clock, retryDelaysMs[attempt - 1] ?? 0, signal))) break;
      if (signal.aborted) break;
      const status = await post(options, body, headers);
      statuses.push(status);
      // Only 200 counts; Meta names no other status a success.
      if (status === 200) return { accepted: true, attempts: statuses.length, statuses };
    }
    return { accepted: false, attempts: statuses.length, statuses };
  };
}

async function post(options: SenderOptions, body: string, headers: Record<string, string>): Promise<number> {
  const timeout = new AbortController();
  const cancel = options.clock.after(answerTimeoutMs, () => timeout.abort());
  try {
    const response = await options.fetch(options.url, {
      method: "POST",
      headers,
      body,
      redirect: "manual",
      signal: AbortSignal.any([timeout.signal, options.signal]),
    });
    await response.arrayBuffer(); // Read to the end, so that the connection is used again.
    return response.status;
  } catch {
    return 0; // No answer, or the box closes: the same to the sender.
  } finally {
    cancel();
  }
}
