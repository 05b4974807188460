import postgres from "postgres";
import { SyncError } from "../domain/error.ts";
import { type Clock, endsWithin } from "../lib/clock.ts";
import type { Log } from "../lib/log.ts";
import { isConnectionError, isRetryable, isStalePlan, readStorageError } from "./storage-error.ts";

/**
 * Connections of one process, by what they are for, so that no webhook waits behind a list, nor a lookup behind a backfill's
 * report. Few of each: a connection that is used all the time answers sooner than one that has been idle. A daemon set
 * shares Postgres's own limit.
 */
export const connectionsMax = { webhooks: 2, lookups: 3, others: 3 } as const;
type Use = keyof typeof connectionsMax;
/** A new connection's handshake, in ms: five turns with a server that is half a second away. */
export const connectMs = 5_000;
/** postgres.js can wait for ever on a frozen server: every statement has this bound of ours unless it names another. */
export const statementDeadlineMs = 2_500;
/** The embedded database runs in this very thread and cannot hang on a network: only a bound against a bug. */
export const embeddedDeadlineMs = 60_000;
/** A statement that met another writer is sent again this often: both sort their rows, so it is rare. */
export const conflictRetriesMax = 3;

export type DatabaseOptions = {
  /** `postgres://…`, or null for the embedded one. */
  url: string | null;
  /** Where the embedded database lives. The caller holds the folder. */
  dataFolder: string;
  clock: Clock;
  log: Log;
};

type Row = Record<string, unknown>;
type Parameter = string | number | boolean | null;
type Connections = Readonly<Record<Use, postgres.Sql>>;
export type Database = Awaited<ReturnType<typeof openDatabase>>;

/**
 * Opens the one way to the tables. Postgres itself is first met by the first statement.
 * Every statement either answers within its deadline or throws `storage_unavailable`; a deadline or a lost connection
 * brings a fresh pool, since postgres.js may else wait on the dead one.
 */
export async function openDatabase({ url, dataFolder, clock, log }: DatabaseOptions) {
  const embedded = url === null ? await openEmbedded(dataFolder) : null;
  const connect = (): Connections => {
    if (embedded !== null) {
      const one = postgres({
        database: "postgres",
        username: "postgres",
        max: 1,
        fetch_types: false,
        onnotice() {},
        ...{ socket: embedded.socket }, // postgres.js takes it, its types do not know it
      });
      return { webhooks: one, lookups: one, others: one };
    }
    const open = (use: Use) =>
      postgres(url ?? "", {
        max: connectionsMax[use],
        connect_timeout: connectMs / 1_000,
        idle_timeout: 300,
        fetch_types: false,
        onnotice() {},
      });
    return { webhooks: open("webhooks"), lookups: open("lookups"), others: open("others") };
  };
  let connections = connect();
  /** When they were made, and whether one has answered yet: a server that is only slow is given time to let them in. */
  let made = { atMs: clock.monotonicMs(), hasAnswered: false };

  /** All of them: what broke one is most often the server or the way to it. */
  const recycle = (broken: Connections) => {
    if (connections !== broken || embedded !== null) return;
    connections = connect();
    made = { atMs: clock.monotonicMs(), hasAnswered: false };
    log.debug("Database connections renewed", "Database");
    end(broken, 0).catch(() => {});
  };

  const run = async <R extends Row>(
    text: string,
    parameters: readonly Parameter[],
    action: string,
    { use, prepare, deadlineMs }: { use: Use; prepare: boolean; deadlineMs: number },
  ): Promise<R[]> => {
    const boundMs = embedded === null ? deadlineMs : embeddedDeadlineMs;
    for (let attempt = 1; ; attempt++) {
      const used = connections;
      const pending = used[use].unsafe<R[]>(text, [...parameters], { prepare });
      try {
        if (await endsWithin(clock, pending, boundMs)) {
          if (used === connections) made.hasAnswered = true;
          return await pending;
        }
        if (made.hasAnswered || clock.monotonicMs() - made.atMs >= connectMs) recycle(used);
        throw tooLate(action);
      } catch (error) {
        if (isRetryable(error) && attempt <= conflictRetriesMax) continue;
        if (isStalePlan(error) && attempt === 1) {
          recycle(used);
          continue;
        }
        if (isConnectionError(error)) recycle(used);
        throw readStorageError(error, action);
      }
    }
  };

  /**
   * Runs one statement, planned for the tables as they are now: a plan that was kept from when they were empty would
   * scan them once they are full. `action` completes "Cannot …" in the error.
   */
  const query = <R extends Row>(
    text: string,
    parameters: readonly Parameter[],
    action: string,
    deadlineMs = statementDeadlineMs,
  ): Promise<R[]> => run(text, parameters, action, { use: "others", prepare: false, deadlineMs });

  /** Runs the webhooks' one statement, whose plan does not depend on how full the tables are: planned once a connection. */
  const queryForWebhooks = <R extends Row>(
    text: string,
    parameters: readonly Parameter[],
    action: string,
    deadlineMs: number,
  ): Promise<R[]> => run(text, parameters, action, { use: "webhooks", prepare: true, deadlineMs });

  const uses = new Map<string, number>();
  /**
   * Runs one statement of the lookups', which comes again and again: planned anew each time its use has grown tenfold,
   * since planning costs more than running it. A plan from when the tables were nearly empty, which may scan them, so serves nine times as often
   * as the statement had been used by then at most, and is gone as soon as autovacuum has looked; and a connection
   * keeps a dozen plans a statement at most.
   */
  const queryForLookups = <R extends Row>(
    text: string,
    parameters: readonly Parameter[],
    action: string,
    deadlineMs = statementDeadlineMs,
  ): Promise<R[]> => {
    const used = (uses.get(text) ?? 0) + 1;
    uses.set(text, used); // One entry a file of sql/queries.
    const planned = `${text}\n-- plan ${Math.floor(Math.log10(used))}`;
    return run(planned, parameters, action, { use: "lookups", prepare: true, deadlineMs });
  };

  /**
   * Runs `steps` in one transaction on one connection, all of it within `boundMs`: for migrations alone, since a lost
   * connection may not undo it. The server's own limits end a statement that is slow, but not one on a frozen server.
   */
  const inTransaction = async (
    steps: (runStep: (text: string) => Promise<Row[]>) => Promise<void>,
    action: string,
    boundMs: number,
  ) => {
    const used = connections;
    try {
      const all = used.others.begin((transaction) => steps(async (text) => await transaction.unsafe(text).simple()));
      if (await endsWithin(clock, all, boundMs)) return;
    } catch (error) {
      throw readStorageError(error, action);
    }
    recycle(used);
    throw tooLate(action);
  };

  return {
    query,
    queryForWebhooks,
    queryForLookups,
    inTransaction,
    embedded: embedded !== null,
    /** Flushes every commit so far to the disk; null where the server does that with each by itself. */
    flush: embedded?.flush ?? null,
    /** For people: which database, without its password. */
    describe: () => (url === null ? `embedded Postgres in ${dataFolder}, for evaluation` : describeUrl(url)),
    [Symbol.asyncDispose]: async () => {
      await end(connections, 2);
      await embedded?.[Symbol.asyncDispose]();
    },
  };
}

const tooLate = (action: string): SyncError =>
  new SyncError("storage_unavailable", `Cannot ${action}: the database did not answer in time`);

/** Ends them after `timeout` seconds at the latest; the embedded one's are one and the same. */
const end = (connections: Connections, timeout: number): Promise<unknown> =>
  Promise.all([...new Set(Object.values(connections))].map((pool) => pool.end({ timeout })));

async function openEmbedded(folder: string) {
  const { openEmbeddedPostgres } = await import("./embedded-postgres.ts"); // 16 MB that a real Postgres never loads
  try {
    return await openEmbeddedPostgres(folder);
  } catch (cause) {
    throw new SyncError("folder_unusable", `Cannot open the embedded database in ${folder}: its files are unusable`, {
      cause,
    });
  }
}

function describeUrl(url: string): string {
  const { hostname, port, pathname } = new URL(url);
  return `Postgres at ${hostname}:${port || "5432"}${pathname}`;
}
