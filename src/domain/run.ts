import type { ConversationCursor } from "./conversation.ts";
import type { AccountId } from "./ids.ts";

/** Where a backfill run stands. `queued`, `running` and `interrupted` are open: an account has one such run at most. */
export const runStates = ["queued", "running", "interrupted", "completed", "failed", "cancelled"] as const;
export type RunState = (typeof runStates)[number];

/** Names from the conversation list come before single profiles. */
export const runPhases = ["names", "profiles"] as const;
export type RunPhase = (typeof runPhases)[number];

/** Whom a run looks up. `missing`: who has no profile; `refused`: also whom Instagram refused; `everybody`: known people too. */
export const runScopes = ["missing", "refused", "everybody"] as const;
export type RunScope = (typeof runScopes)[number];

/** All who have ever written to an account. */
export const everybody = { scope: "everybody", sinceMs: null, runNumber: null } as const;

/** What was asked. A run is gone on with by who asks for the same; `batchSize` may differ. */
export type RunOptions = {
  readonly batchSize: number;
  readonly scope: RunScope;
  /** People at most; null: all. */
  readonly limit: number | null;
  /** As it was asked for (`7d`), and the moment it meant when the run began (ms since 1970); null: all conversations. */
  readonly since: string | null;
  readonly sinceMs: number | null;
  /** Reads the inbox first: a username for everybody, some 50 a call. */
  readonly bulk: boolean;
  /** Then asks for profiles, one call a person; false: usernames are all that is wanted. */
  readonly profiles: boolean;
  /** Creates the conversations that Instagram lists and that no webhook has told of. */
  readonly importMissing: boolean;
};

/** What reading the inbox has come to: calls made, conversations listed, usernames told, conversations created. */
export type NamesTotals = {
  readonly calls: number;
  readonly listed: number;
  readonly named: number;
  readonly imported: number;
};

/** One backfill run. Counters are what the database has counted in the statements that saved the people. */
export type Run = {
  readonly id: string;
  /** Marks the people whom the run has finished with. */
  readonly number: string;
  readonly accountId: AccountId;
  readonly state: RunState;
  /** `host:pid`; null where nobody works on it. */
  readonly owner: string | null;
  /** Proves to the database that one is the owner still. */
  readonly fencingToken: string;
  readonly detached: boolean;
  readonly cancelRequested: boolean;
  readonly options: RunOptions;
  readonly phase: RunPhase;
  readonly cursor: ConversationCursor | null;
  readonly namesCursor: string | null;
  readonly names: NamesTotals;
  /** People in all; null: not counted yet. */
  readonly total: number | null;
  readonly done: number;
  readonly successful: number;
  readonly errors: number;
  /** `complete`, `no_picture` …, and each reason why somebody has no profile. */
  readonly outcomes: Readonly<Record<string, number>>;
  readonly blockedReason: string | null;
  readonly startedAtMs: number;
  readonly endedAtMs: number | null;
  /** How long Instagram's limit still holds it up; null while it works. */
  readonly pausedForMs: number | null;
  /** Nobody works on it: it has no owner, or one that has been silent for too long. */
  readonly free: boolean;
};

/** Where a run stands, beside its counters: what its owner saves from time to time. */
export type RunPlace = Pick<Run, "phase" | "cursor" | "namesCursor" | "names" | "pausedForMs"> & {
  readonly total: number;
};

/** Who holds a run. */
export type RunHold = Pick<Run, "id" | "fencingToken">;

/** What a run begins with. */
export const firstPhase = ({ bulk }: Pick<RunOptions, "bulk">): RunPhase => (bulk ? "names" : "profiles");

/** Nobody works on it any more, and nobody will by themselves. */
export const hasEnded = ({ state }: Pick<Run, "state">): boolean => state !== "queued" && state !== "running";
