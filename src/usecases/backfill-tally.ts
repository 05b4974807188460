import type { ConversationId } from "../domain/ids.ts";
import type { Run } from "../domain/run.ts";
import type { EnrichResult } from "./enrich.ts";

/** What became of people so far: a count for each profile status or reason. */
export type BackfillTally = Pick<Run, "done" | "successful" | "errors" | "outcomes">;

/** Somebody whom the run passes over, as somebody else has them in hand or had. */
export type Skipped = { readonly id: ConversationId; readonly why: string };

/** Follows what the database counts, from where the run stood when it was opened, so that nobody has to ask it for each step. */
export function createTally(start: BackfillTally) {
  const outcomes: Record<string, number> = { ...start.outcomes };
  let { done, successful, errors } = start;
  const add = (name: string) => {
    done += 1;
    outcomes[name] = (outcomes[name] ?? 0) + 1;
  };
  return {
    /** Answers the name under which the person is counted. */
    count(result: Extract<EnrichResult, { kind: "found" | "absent" }>): string {
      if (result.kind === "found") successful += 1;
      else errors += 1;
      const { kind } = result;
      const name = kind === "absent" ? result.reason : result.profile.pictureUrl === null ? "no_picture" : "complete";
      add(name);
      return name;
    },
    countSkipped({ why }: Skipped): void {
      add(why);
    },
    state: (): BackfillTally => ({ done, successful, errors, outcomes: { ...outcomes } }),
  };
}

/** The outcome under which the run counts somebody whom it passes over. */
export const nameOfSkipped = (why: Extract<EnrichResult, { kind: "skipped" }>["why"]): string =>
  why === "held" ? "looked_up_elsewhere" : "already_done";
