import type { AccountId } from "../domain/ids.ts";
import type { Run } from "../domain/run.ts";
import type { RunAsk, RunOwner, RunsRepository } from "../repository/runs.ts";

/** What a process knows of itself as an owner of runs. */
export type RunSeat = {
  /** `host:pid`, for people. */
  readonly instance: string;
  readonly folder: string | null;
  /** Keeps every other process of the data folder from the account's runs; null where one of them has it. */
  readonly lock: (accountId: AccountId) => { close(): void } | null;
};

/** `mine`: to be worked on, and `leave()` afterwards. `other`: somebody works on it or will; it can be watched. */
export type OpenedRun =
  | ({ readonly kind: "mine"; readonly run: Run; readonly resumed: boolean } & { readonly leave: () => void })
  | { readonly kind: "other"; readonly run: Run };

/** Turns of a race with other starters, after which there is something wrong. */
const turnsMax = 10;

type Ask = Omit<RunAsk, "owner">;
type Runs = Pick<RunsRepository, "claimRun" | "enqueueRun" | "getOpenRun" | "closeRun">;

/**
 * Opens the account's run: a new one, or the open one where nobody works on it any more and it was asked for the same.
 * A free run that was asked for something else is given up, and told by `onGivenUp`. Which of many starters gets
 * it is decided by the database. Throws `storage_unavailable`.
 */
export async function openRun(runs: Runs, seat: RunSeat, ask: Ask, onGivenUp: (run: Run) => void): Promise<OpenedRun> {
  const lock = seat.lock(ask.accountId);
  const owner = { instance: seat.instance, folder: seat.folder, folderFree: lock !== null };
  let mine = false;
  try {
    const opened = await takeRun(runs, owner, ask, (of) => runs.claimRun(of), onGivenUp);
    if (opened.kind === "other") return opened;
    mine = true;
    return { ...opened, leave: () => lock?.close() };
  } finally {
    if (!mine) lock?.close();
  }
}

/** Gives the account's run to the daemons, as `openRun()` would open it. `other`: somebody works on it already. */
export async function enqueueRun(runs: Runs, seat: RunSeat, ask: Ask, onGivenUp: (run: Run) => void) {
  const lock = seat.lock(ask.accountId);
  const owner = { instance: seat.instance, folder: seat.folder, folderFree: lock !== null };
  try {
    return await takeRun(runs, owner, ask, (of) => runs.enqueueRun(of), onGivenUp);
  } finally {
    lock?.close();
  }
}

async function takeRun(
  runs: Runs,
  owner: RunOwner,
  ask: Ask,
  take: (ask: RunAsk) => Promise<Run | null>,
  onGivenUp: (run: Run) => void,
) {
  for (let turn = 0; turn < turnsMax; turn++) {
    const run = await take({ ...ask, owner });
    if (run !== null) return { kind: "mine", run, resumed: run.id !== ask.id } as const;
    const open = await runs.getOpenRun(ask.accountId, owner);
    if (open === null) continue;
    if (!open.free) return { kind: "other", run: open } as const;
    if (await runs.closeRun(open)) onGivenUp(open);
  }
  throw new Error(`The runs of ${ask.accountId} change faster than they can be read`);
}
