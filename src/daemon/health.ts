import { logins } from "../domain/account.ts";
import { describeFailing } from "../domain/account-health.ts";
import { hostNames } from "../graph/circuit.ts";
import type { HealthCheck } from "../http/http-dependencies.ts";
import { readVersion, schemaVersion } from "../repository/migrate.ts";
import type { Runtime } from "../runtime.ts";
import type { Spool } from "../spool/spool.ts";

/** A health question is answered by then, whatever the database does. */
const healthDeadlineMs = 1_000;

/**
 * Whether the daemon can do its work. With the database away it still takes messages, as long as the spool does: it
 * stays ready then, or a load balancer would send Instagram to nobody. So it is for one that has not met its database
 * since its start, which is `away` for that reason.
 */
export async function checkHealth(
  { database, cache, circuit, config, clock }: Pick<Runtime, "database" | "cache" | "circuit" | "config" | "clock">,
  spool: Pick<Spool, "state">,
  away: string | null,
): Promise<{ ready: boolean; checks: readonly HealthCheck[] }> {
  const storage = away === null ? await checkDatabase(database) : describeAway(away);
  const spooled = checkSpool(spool, clock.nowMs());
  const bridged = !storage.answers && spooled.state !== "failed";
  const { working, failures } = cache.health();
  const databaseState = storage.ok ? "ok" : bridged ? "degraded" : "failed";
  return {
    ready: storage.ok || bridged,
    checks: [
      { name: "database", state: databaseState, detail: storage.detail },
      spooled,
      {
        name: "cache",
        state: working ? "ok" : "degraded",
        detail: `${cache.describe()}${working ? "" : `, ${failures} failed calls: profiles are looked up without it`}`,
      },
      checkGraph(circuit),
      {
        name: "settings",
        state: config.verifyToken === null ? "degraded" : "ok",
        detail: config.verifyToken === null ? "META_VERIFY_TOKEN is not set: Meta's handshake is refused" : "complete",
      },
    ],
  };
}

type StorageCheck = { readonly answers: boolean; readonly ok: boolean; readonly detail: string };

function checkDatabase(database: Runtime["database"]): Promise<StorageCheck> {
  return readVersion(database, healthDeadlineMs).then(
    (found) => ({
      answers: true,
      ok: found === schemaVersion,
      detail: `schema version ${found}, this program needs ${schemaVersion}`,
    }),
    (error: Error) => ({ answers: false, ok: false, detail: error.message }),
  );
}

const describeAway = (reason: string): StorageCheck => ({
  answers: false,
  ok: false,
  detail: `away since this daemon's start, messages wait in the spool: ${reason}`,
});

/** Graph's two hosts: degraded while one fails of itself. Messages go on, so the daemon stays ready. */
function checkGraph(circuit: Runtime["circuit"]): HealthCheck {
  const failing = logins.filter((login) => circuit.state(login).failingSinceMs !== null);
  const detail = failing.map(
    (login) => `${hostNames[login]}: ${describeFailing(circuit.state(login).failingSinceMs) ?? "answers"}`,
  );
  return {
    name: "graph",
    state: failing.length > 0 ? "degraded" : "ok",
    detail: failing.length > 0 ? detail.join(" ") : "no failure of Instagram's own",
  };
}

/** The spool in numbers: degraded while messages wait in it, failed where it takes no more. */
function checkSpool(spool: Pick<Spool, "state">, nowMs: number): HealthCheck {
  const { records, bytes, bytesMax, oldestReceivedAtMs, writable, damaged } = spool.state();
  const oldestAgeSeconds =
    oldestReceivedAtMs === null ? 0 : Math.max(0, Math.round((nowMs - oldestReceivedAtMs) / 1000));
  const full = bytes >= bytesMax;
  const detail = !writable
    ? "the spool cannot be written: without the database Instagram is told to send again"
    : full
      ? "the spool is full: without the database Instagram is told to send again"
      : records > 0
        ? `${records} deliveries wait for the database, the oldest for ${oldestAgeSeconds} s`
        : "empty";
  return {
    name: "spool",
    state: !writable || full ? "failed" : records > 0 ? "degraded" : "ok",
    detail,
    values: { records, bytes, oldestAgeSeconds, damaged },
  };
}
