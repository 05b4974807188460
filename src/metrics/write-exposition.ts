import { Counter, Gauge, Histogram, type Metric, Registry } from "prom-client";
import { bucketBounds, type Counts, receipts, type Watched } from "./metrics.ts";

/** Writes the figures in Prometheus' text format. Loads prom-client: import it when somebody asks. */
export function writeExposition(counts: Counts, watched: readonly Watched[]): Promise<string> {
  const registry = new Registry();
  registry.registerMetric(buildReceipts(counts));
  registry.registerMetric(buildSeconds(counts));
  const { quarantined, shed, stalls } = counts;
  for (const { name, help, read } of [
    {
      name: "social_sync_quarantined_total",
      help: "Signed bodies and items that were set aside.",
      read: () => quarantined,
    },
    {
      name: "social_sync_webhook_shed_total",
      help:
        "Deliveries refused with 503 because too many, or too many bytes, waited. Not those that the HTTP server " +
        "refused by itself: social_sync_webhook_shut_seconds_total says for how long it did.",
      read: () => shed,
    },
    {
      name: "social_sync_event_loop_stalls_total",
      help: "Times the event loop stood still for more than a second.",
      read: () => stalls,
    },
    ...watched,
  ])
    addNumber(registry, name, help, read);
  return registry.metrics();
}

function buildReceipts({ receipts: counted }: Counts): Metric {
  const counter = new Counter({
    name: "social_sync_webhook_deliveries_total",
    help: "Deliveries that came in whole, by what became of them; unavailable was answered 503.",
    labelNames: ["receipt"],
    registers: [],
  });
  for (const receipt of receipts) counter.inc({ receipt }, counted[receipt]);
  return counter;
}

/** Leaves out what cannot be read: one part that fails shall not cost the figures of all others. */
function addNumber(registry: Registry, name: string, help: string, read: () => number): void {
  const value = readSafely(read);
  const counter = name.endsWith("_total");
  if (value === null || (counter && value < 0)) return;
  const registers = [registry];
  if (counter) new Counter({ name, help, registers }).inc(value);
  else new Gauge({ name, help, registers }).set(value);
}

/** A histogram with the counts as they are: the library itself only takes one observation after another. */
function buildSeconds({ seconds }: Counts): Metric {
  const name = "social_sync_webhook_seconds";
  const help = "Seconds from a delivery's last byte to its answer.";
  const sample = (suffix: string, value: number, le: string | null = null) => ({
    metricName: `${name}_${suffix}`,
    labels: le === null ? {} : { le },
    value,
  });
  let sum = 0;
  const values = bucketBounds.map((bound, at) => {
    sum += seconds.buckets[at] ?? 0;
    return sample("bucket", sum, String(bound));
  });
  values.push(sample("bucket", seconds.count, "+Inf"), sample("sum", seconds.sum), sample("count", seconds.count));
  const histogram = new Histogram({ name, help, buckets: [...bucketBounds], registers: [] });
  return Object.assign(histogram, { getForPromString: async () => ({ name, help, type: "histogram", values }) });
}

function readSafely(read: () => number): number | null {
  try {
    const value = read();
    return Number.isFinite(value) ? value : null;
  } catch {
    return null;
  }
}
