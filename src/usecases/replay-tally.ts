import type { Difference } from "../repository/difference.ts";

/** What became of a difference: only told (a dry run), corrected, or left alone since the row was written meanwhile. */
export type Outcome = "found" | "corrected" | "changed_meanwhile";

export const replayedTables = ["messages", "reactions", "read_receipts", "conversations"] as const;

export type TableTally = {
  readonly checked: number;
  readonly missing: number;
  readonly different: number;
  readonly corrected: number;
  readonly changedMeanwhile: number;
};

/** How far a replay is. */
export type ReplayTally = {
  /** Events that were read. */
  readonly events: number;
  /** Stored events that today's code cannot read, by reason. */
  readonly unreadable: Readonly<Record<string, number>>;
  readonly tables: Readonly<Record<Difference["table"], TableTally>>;
};

export function createReplayTally() {
  let events = 0;
  const unreadable: Record<string, number> = {};
  const empty = () => ({ checked: 0, missing: 0, different: 0, corrected: 0, changedMeanwhile: 0 });
  const tables = { messages: empty(), reactions: empty(), read_receipts: empty(), conversations: empty() };
  return {
    read(count: number): void {
      events += count;
    },
    refuse(reasons: readonly string[]): void {
      for (const reason of reasons) unreadable[reason] = (unreadable[reason] ?? 0) + 1;
    },
    check(table: Difference["table"], count: number): void {
      tables[table].checked += count;
    },
    count({ table, stored }: Difference, outcome: Outcome): void {
      const row = tables[table];
      if (stored === null) row.missing += 1;
      else row.different += 1;
      if (outcome === "corrected") row.corrected += 1;
      if (outcome === "changed_meanwhile") row.changedMeanwhile += 1;
    },
    state: (): ReplayTally => structuredClone({ events, unreadable, tables }),
  };
}
