/** Instagram in a box for a bench: no trouble, no limit, in the runner's process and so outside of what is measured. */
import { createSystemClock } from "../../src/lib/clock.ts";
import { createLog } from "../../src/lib/log.ts";
import { openSandbox } from "../../src/sandbox/sandbox.ts";
import { appSecret } from "./product.ts";

export type BenchSandbox = Awaited<ReturnType<typeof openBenchSandbox>>;

export async function openBenchSandbox(options: { seed: number; people: number; latencyMs: number }) {
  const { latencyMs } = options;
  const clock = createSystemClock();
  const latenessesMs: number[] = [];
  const sandbox = await openSandbox({
    ...options,
    host: "127.0.0.1",
    port: 0,
    ratePerWindow: null,
    windowMs: 3_600_000,
    messagesPerSecond: 0,
    appSecret,
    webhookUrl: null,
    troubleShare: 0,
    clock: {
      ...clock,
      after: (delayMs, run) => {
        if (delayMs !== latencyMs) return clock.after(delayMs, run);
        const startMs = performance.now();
        return clock.after(delayMs, () => {
          latenessesMs.push(performance.now() - startMs - delayMs);
          run();
        });
      },
    },
    log: createLog("error", (_, message) => process.stderr.write(`${message}\n`)),
  });
  const [instagramAccount, pageAccount] = sandbox.world.accounts;
  if (instagramAccount === undefined || pageAccount === undefined) throw new Error("Bug: the sandbox has two accounts");
  return {
    instagramAccount,
    pageAccount,
    calls: sandbox.calls,
    /** How much later than asked for each answer left: our own machine's part in the latency. */
    latenessesMs,
    graphUrls: { GRAPH_INSTAGRAM_URL: sandbox.instagramUrl, GRAPH_FACEBOOK_URL: sandbox.facebookUrl },
    [Symbol.asyncDispose]: () => sandbox[Symbol.asyncDispose](),
  };
}
