import type { LookupsRepository } from "../repository/lookups.ts";
import type { Enrich } from "./enrich.ts";
import type { Schedule } from "./schedules.ts";

/** How often the set of daemons looks for accounts whose pause has ended. */
export const probesEveryMs = 30_000;
/** Accounts that one turn asks for; the next turn takes the next. */
const accountsMax = 50;

/**
 * The schedule that asks about one person of every account whose pause has ended. What the answer says about the
 * account is drawn where all answers are: in `enrich()`.
 */
export function createProbes({
  lookups,
  enrich,
}: {
  lookups: Pick<LookupsRepository, "listDueProbes">;
  enrich: Enrich;
}): Schedule {
  return {
    name: "probes",
    everyMs: probesEveryMs,
    leaseMs: probesEveryMs,
    async run(signal) {
      const people = await lookups.listDueProbes(accountsMax);
      if (people.length > 0) await enrich(people, { lane: "live", force: true, signal });
    },
  };
}
