import { type Config, readConfig } from "../config.ts";
import { type Clock, wait } from "../lib/clock.ts";
import { defineCliCommand } from "./command.ts";
import { exitCodes } from "./io.ts";
import { plainText } from "./text-values.ts";

/** Both questions together: a container's health check must not pile up behind a daemon that hangs. */
export const healthcheckTimeoutMs = 2_000;
/** Longest part of an answer that is repeated. */
const detailMax = 300;

/** `social-sync healthcheck` */
export const healthcheckCommand = defineCliCommand({
  name: "healthcheck",
  summary: "ask the daemon on HOST and PORT whether it works",
  args: {},
  examples: ["social-sync healthcheck", "PORT=8080 social-sync healthcheck"],
  notes: ["Exit code 0: it answers and can do its work. 1: it does not, with the reason."],
  onStop: "leave",
  async run(_, io) {
    const origin = originOf(readConfig(io.env, { appSecret: false, isTty: io.stderr.isTty }));
    const { healthy, sentence } = await checkHealth(origin, { clock: io.clock, fetch: globalThis.fetch });
    io.stderr.write(`${sentence}\n`);
    return healthy ? exitCodes.done : exitCodes.usage;
  },
});

/** A wildcard is where the daemon listens, not where one can call it. */
function originOf({ host, port }: Pick<Config, "host" | "port">): string {
  const called = host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host;
  return `http://${called.includes(":") && !called.startsWith("[") ? `[${called}]` : called}:${port}`;
}

type Dependencies = { clock: Clock; fetch: (url: string, init: RequestInit) => Promise<Response> };

/** Asks `/health/live`, then `/health/ready`. Never throws: not being answered is an answer. */
export async function checkHealth(origin: string, { clock, fetch }: Dependencies) {
  const ended = new AbortController();
  const late = new AbortController();
  void wait(clock, healthcheckTimeoutMs, ended.signal).then((passed) => passed && late.abort());
  let asked = "/health/live";
  try {
    const live = await fetch(`${origin}${asked}`, { signal: late.signal, redirect: "error" });
    if (!live.ok) return unhealthy(`${origin} answers ${live.status}: is this social-sync?`);
    asked = "/health/ready";
    const ready = await fetch(`${origin}${asked}`, { signal: late.signal, redirect: "error" });
    const reasons = readReasons(await ready.text());
    if (ready.ok) return { healthy: true, sentence: `Healthy: ${origin} can do its work${reasons}` };
    return unhealthy(`${origin} runs but cannot do its work${reasons}`);
  } catch {
    if (late.signal.aborted) return unhealthy(`${origin}${asked} did not answer within ${healthcheckTimeoutMs} ms`);
    return unhealthy(`nothing answers at ${origin}${asked}`);
  } finally {
    ended.abort();
  }
}

const unhealthy = (why: string) => ({ healthy: false, sentence: `Unhealthy: ${why}` });

/** The checks that are not fine, as `: name: detail; …`; nothing where all are, or the answer is not ours. */
function readReasons(body: string): string {
  try {
    const { checks }: { checks?: unknown } = JSON.parse(body);
    if (!Array.isArray(checks)) return "";
    const bad = checks.filter((check) => check?.state !== "ok").map(({ name, detail }) => `${name}: ${detail}`);
    return bad.length === 0 ? "" : plainText(`: ${bad.join("; ")}`).slice(0, detailMax);
  } catch {
    return "";
  }
}
