/** What a book of calls does, whether it lies in this process or in a Redis that many processes share. */

/** Who asks: a customer who waits, a profile that ages, or the past. */
export const lanes = ["live", "refresh", "backfill"] as const;
export type Lane = (typeof lanes)[number];

/** The rules of one book; the same for everybody who shares it. */
export type LedgerRules = {
  readonly windowMs: number;
  /** Calls per pool in any window, of the operator's own; null: none. */
  readonly ceiling: number | null;
};

export type LedgerRequest = {
  /** The account and the pool of its calls, as one text. */
  readonly pool: string;
  readonly lane: Lane;
  /** Whole, 1 or more. */
  readonly calls: number;
  /** Calls that one request carries: the pace grants whole requests where a window holds two; what is left of an allowance behind them goes as it is. 1: each goes by itself. */
  readonly perRequest: number;
  /** Calls that may be the first of all, before any answer has told of room: 1, unless the caller knows more. */
  readonly firstCalls: number;
  /** Names this request in every process. */
  readonly id: string;
  /** This book's part of the allowance is one in so many: 1, but where Redis is lost. */
  readonly share: number;
  /** Calls of this pool go one by one and so many ms apart, whatever the allowance; 0: they need not. */
  readonly spacingMs: number;
};

/** Where a pool stands. Times are ms from now. */
export type PoolSnapshot = {
  /** Calls that Instagram may still count: those of the last window and those under way. */
  readonly used: number;
  /** The last usage that was told, per cent; null: none yet. */
  readonly percent: number | null;
  /** Calls that fit into one window, as far as answers have shown; null: nothing shown, `Infinity`: answers tell no usage. */
  readonly learned: number | null;
  readonly accountStopMs: number;
  readonly appStopMs: number;
};

export type LedgerTaken = { readonly granted: number; readonly resumeInMs: number; readonly snapshot: PoolSnapshot };

/** Calls of one moment in a log: how old they are, how many, and how many of them are not live. */
export type LogEntry = { readonly ageMs: number; readonly calls: number; readonly shared: number };

export type Throttle = { readonly scope: "app" | "account"; readonly resumeInMs: number | null };
/** What the headers of an answer told (meta-platform.md §5.2): per cent, and ms until calls are served again or null. */
export type UsageReading = { readonly percent: number; readonly regainMs: number | null };

export type Settlement = {
  readonly pool: string;
  readonly id: string;
  readonly lane: Lane;
  /** Calls that were made, as Instagram counts them; more than granted are counted on top. */
  readonly callsMade: number;
  /** null: the answer came without usage. */
  readonly usage: UsageReading | null;
  readonly throttle: Throttle | null;
};

/** What another book knows of a pool, to be added to this one. */
export type PoolMemory = {
  readonly pool: string;
  /** What a book that has forgotten held before, for one that nobody has told yet. */
  readonly entries: readonly LogEntry[];
  /** Calls that this book never knew of. */
  readonly owed: readonly LogEntry[];
  readonly learned: number | null;
  readonly percent: number | null;
  readonly accountStopMs: number;
  readonly appStopMs: number;
};

export type Ledger = {
  readonly take: (request: LedgerRequest) => Promise<LedgerTaken>;
  /** Notes how granted calls ended. Answers the ms that the pool rests, or null where it need not. */
  readonly settle: (settlement: Settlement) => Promise<number | null>;
  readonly snapshot: (pool: string) => Promise<PoolSnapshot>;
  /** The calls that count now, oldest first; those under way as if made now. */
  readonly readLog: (pool: string) => Promise<readonly LogEntry[]>;
  readonly remember: (memory: PoolMemory) => Promise<void>;
};
