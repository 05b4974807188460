import type { ProfileCache } from "../cache/profile-cache.ts";
import { logins } from "../domain/account.ts";
import { type Circuit, hostNames } from "../graph/circuit.ts";
import type { Clock } from "../lib/clock.ts";
import type { Metrics } from "../metrics/metrics.ts";
import type { Spool } from "../spool/spool.ts";
import type { Dispatcher } from "../usecases/dispatch.ts";
import type { Ingest } from "../usecases/ingest.ts";

type Watched = {
  ingest: Pick<Ingest, "depth" | "isShut" | "shutMs">;
  spool: Pick<Spool, "state">;
  dispatcher: Pick<Dispatcher, "depth">;
  cache: Pick<ProfileCache, "health">;
  circuit: Pick<Circuit, "state">;
  clock: Pick<Clock, "nowMs">;
  usage: () => { readonly residentBytes: number; readonly cpuSeconds: number };
};

/** Shows in the metrics what the daemon's parts keep count of themselves. */
export function watchDaemon(
  { watch }: Pick<Metrics, "watch">,
  { ingest, spool, dispatcher, cache, circuit, clock, usage }: Watched,
): void {
  watch("social_sync_posts_waiting", "Deliveries in memory that are not yet safe.", ingest.depth);
  watch(
    "social_sync_webhook_refusing",
    "1 while too many wait and the HTTP server refuses every delivery by itself, with 503 and uncounted.",
    () => (ingest.isShut() ? 1 : 0),
  );
  watch(
    "social_sync_webhook_shut_seconds_total",
    "Seconds in which the HTTP server refused every delivery by itself. Those are in no other figure: Bun does not count them.",
    () => ingest.shutMs() / 1000,
  );
  watch("social_sync_spool_records", "Deliveries that wait in the spool.", () => spool.state().records);
  watch("social_sync_spool_bytes", "Bytes of the spool on disk.", () => spool.state().bytes);
  watch("social_sync_spool_oldest_age_seconds", "How long the oldest of them has waited.", () => {
    const { oldestReceivedAtMs } = spool.state();
    return oldestReceivedAtMs === null ? 0 : Math.max(0, clock.nowMs() - oldestReceivedAtMs) / 1000;
  });
  watch(
    "social_sync_spool_damaged_records",
    "Places of the spool that could not be read.",
    () => spool.state().damaged,
  );
  watch("social_sync_lookups_waiting", "People who wait in memory for a lookup.", dispatcher.depth);
  watch("social_sync_cache_failures", "Failed calls of the cache.", () => cache.health().failures);
  for (const login of logins)
    watch(
      `social_sync_graph_circuit_open_${login}`,
      `1 while ${hostNames[login]} fails of itself and is only probed, else 0.`,
      () => (circuit.state(login).failingSinceMs === null ? 0 : 1),
    );
  watch("process_resident_memory_bytes", "Memory of the process.", () => usage().residentBytes);
  watch("process_cpu_seconds_total", "Processor time of the process.", () => usage().cpuSeconds);
}

/** The same receive(), counted. What throws is answered 503, and so is unavailable too. */
export function countReceipts(
  receive: Ingest["receive"],
  metrics: Pick<Metrics, "countReceipt" | "observeWebhookSeconds">,
  clock: Pick<Clock, "monotonicMs">,
): Ingest["receive"] {
  return async (body, headers) => {
    const startMs = clock.monotonicMs();
    let receipt: Awaited<ReturnType<typeof receive>> = "unavailable";
    try {
      receipt = await receive(body, headers);
      return receipt;
    } finally {
      metrics.countReceipt(receipt);
      metrics.observeWebhookSeconds((clock.monotonicMs() - startMs) / 1000);
    }
  };
}
