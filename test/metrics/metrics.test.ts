import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { metricsContentType } from "../../src/http/metrics-routes.ts";
import { createSystemClock } from "../../src/lib/clock.ts";
import { bucketBounds, createMetrics } from "../../src/metrics/metrics.ts";

const clock = createSystemClock();

/** Every sample of a text in Prometheus' format 0.0.4; throws at a line that is none. */
function readSamples(text: string): Map<string, number> {
  const samples = new Map<string, number>();
  const typed = new Set<string>();
  expect(text).toEndWith("\n");
  for (const line of text.split("\n").filter((one) => one !== "")) {
    const [, word, name = ""] = /^# (HELP|TYPE) ([a-z_]+) \S/.exec(line) ?? [];
    if (word === "TYPE") expect(typed.has(name)).toBe(false);
    if (word === "TYPE") typed.add(name);
    if (word !== undefined) continue;
    const sample = /^([a-z_]+)(\{[a-z]+="[^"\\]+"\})? (\S+)$/.exec(line);
    if (sample === null) throw new Error(`no sample: ${line}`);
    expect([...typed].some((one) => sample[1]?.startsWith(one))).toBe(true);
    samples.set(`${sample[1]}${sample[2] ?? ""}`, Number(sample[3]));
  }
  return samples;
}
const samplesOf = async (metrics: ReturnType<typeof createMetrics>) => readSamples(await metrics.render());

describe("createMetrics()", () => {
  test("counts deliveries by what became of them, from zero on", async () => {
    const metrics = createMetrics({ clock });
    const name = "social_sync_webhook_deliveries_total";
    const read = async () => {
      const samples = await samplesOf(metrics);
      return ["kept", "unsigned", "unavailable"].map((receipt) => samples.get(`${name}{receipt="${receipt}"}`));
    };
    expect(await read()).toEqual([0, 0, 0]);
    for (let n = 0; n < 3; n++) metrics.countReceipt("kept");
    metrics.countReceipt("unavailable");
    expect(await read()).toEqual([3, 0, 1]);
  });

  test("sorts seconds into buckets that add up", async () => {
    const metrics = createMetrics({ clock });
    const name = "social_sync_webhook_seconds";
    const seconds = [0, 0.002, 0.0021, 0.02, 0.02, 3, 3.1, 60];
    for (const one of seconds) metrics.observeWebhookSeconds(one);
    const samples = await samplesOf(metrics);
    for (const bound of bucketBounds)
      expect(samples.get(`${name}_bucket{le="${bound}"}`)).toBe(seconds.filter((one) => one <= bound).length);
    expect(samples.get(`${name}_bucket{le="+Inf"}`)).toBe(seconds.length);
    expect(samples.get(`${name}_count`)).toBe(seconds.length);
    expect(samples.get(`${name}_sum`)).toBeCloseTo(66.1441, 6);
    expect(await metrics.render()).toContain(`# TYPE ${name} histogram`);
  });

  test("counts what was set aside, refused and stalled", async () => {
    const metrics = createMetrics({ clock });
    metrics.countQuarantined(3);
    metrics.countQuarantined(2);
    metrics.countShed();
    const samples = await samplesOf(metrics);
    expect(samples.get("social_sync_quarantined_total")).toBe(5);
    expect(samples.get("social_sync_webhook_shed_total")).toBe(1);
    expect(samples.get("social_sync_event_loop_stalls_total")).toBe(0);
  });

  test("watch() shows what others keep, as it is at each question, a name in _total as a counter", async () => {
    const metrics = createMetrics({ clock });
    let waiting = 7;
    metrics.watch("social_sync_posts_waiting", "Posts that wait.", () => waiting);
    metrics.watch("process_cpu_seconds_total", "CPU.", () => 1.5);
    expect((await samplesOf(metrics)).get("social_sync_posts_waiting")).toBe(7);
    waiting = 0;
    const samples = await samplesOf(metrics);
    expect(samples.get("social_sync_posts_waiting")).toBe(0);
    expect(samples.get("process_cpu_seconds_total")).toBe(1.5);
    const text = await metrics.render();
    expect(text).toContain("# TYPE social_sync_posts_waiting gauge");
    expect(text).toContain("# TYPE process_cpu_seconds_total counter");
  });

  test("a number that cannot be read is left out and costs the others nothing", async () => {
    const metrics = createMetrics({ clock });
    metrics.watch("broken", "Throws.", () => {
      throw new Error("away");
    });
    metrics.watch("nothing", "Is no number.", () => Number.NaN);
    metrics.watch("negative_total", "No counter falls.", () => -1);
    metrics.watch("fine", "Is fine.", () => 1);
    const samples = await samplesOf(metrics);
    expect([samples.has("broken"), samples.has("nothing"), samples.has("negative_total")]).toEqual([
      false,
      false,
      false,
    ]);
    expect(samples.get("fine")).toBe(1);
  });

  test("the number of time series stays the same, whatever is counted", async () => {
    const metrics = createMetrics({ clock });
    const before = (await samplesOf(metrics)).size;
    for (let n = 0; n < 1_000; n++) {
      metrics.countReceipt("kept");
      metrics.observeWebhookSeconds(n / 100);
    }
    expect((await samplesOf(metrics)).size).toBe(before);
  });

  test("the library is loaded by the first question alone, so that no command and no idle daemon pays for it", () => {
    const root = join(import.meta.dir, "..", "..", "src");
    const files = readdirSync(root, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".ts"));
    const importing = (what: RegExp) => files.filter((name) => what.test(readFileSync(join(root, name), "utf8")));
    expect(importing(/"prom-client"/)).toEqual(["metrics/write-exposition.ts"]);
    expect(importing(/from "[^"]*write-exposition\.ts"/)).toEqual([]);
  });

  test("its format is the one that the route names", async () => {
    const { Registry } = await import("prom-client");
    expect(metricsContentType).toBe(Registry.PROMETHEUS_CONTENT_TYPE.replaceAll("; ", ";"));
  });
});
