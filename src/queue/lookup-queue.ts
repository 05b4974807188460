import { existsSync, mkdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import { Queue, shutdownManager, Worker } from "bunqueue/client";
import { type ConversationId, parseConversationId } from "../domain/ids.ts";
import { chunk } from "../lib/chunk.ts";
import { type Clock, endsWithin } from "../lib/clock.ts";
import type { Log } from "../lib/log.ts";

/** People a job carries: a job costs half a millisecond, and one batch request asks for 50. */
export const peoplePerJob = 50;
/** Jobs worked on at once. Each is one claim, at most one batch request, one save. */
export const jobsInFlight = 4;
/** How often an idle worker looks for jobs. What is urgent goes through memory; looking every 5 ms cost 3 % of a core for nothing. */
export const pollMs = 200;
/** A crash says nothing about the job: Postgres decides what is still to do. */
const stallsMax = 1_000;
/** bunqueue's own close() waits without limit. */
const closeBoundMs = 3_000;
const queueName = "enrich-participant-profiles";

type LookupJob = { readonly ids: readonly string[]; readonly lane: string };
export type LookupQueue = Awaited<ReturnType<typeof openLookupQueue>>;

/**
 * Opens the dispatcher: durable jobs in `folder`, worked on in this process. It only says *when*; who is due stands in
 * Postgres, so a lost file loses no lookup. The caller holds the folder: two processes on one file destroy each other's jobs.
 */
export async function openLookupQueue(folder: string, { clock, log }: { clock: Clock; log: Log }) {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const dataPath = join(folder, "queue.db");
  const queue = openQueue(dataPath, log);
  queue.setStallConfig({ maxStalls: stallsMax });
  let worker: Worker<LookupJob, null> | null = null;

  return {
    /** Asks for lookups after `delayMs`; `lane` is handed back with them. Returns when the jobs are on disk. */
    async addLookups(ids: readonly ConversationId[], delayMs: number, lane: string): Promise<void> {
      const delay = Math.max(0, Math.round(delayMs));
      await queue.addBulk(
        chunk(ids, peoplePerJob).map((part) => ({
          name: "lookups",
          data: { ids: part, lane },
          opts: { delay, durable: true, removeOnComplete: true, removeOnFail: true, attempts: 1 },
        })),
      );
    },

    /** Starts handing jobs to `handle`. What it throws is logged: Postgres still knows who is due. */
    work(handle: (ids: readonly ConversationId[], lane: string) => Promise<void>): void {
      worker = new Worker<LookupJob, null>(
        queueName,
        async (job) => {
          const ids = job.data.ids.flatMap((id) => parseConversationId(id)?.conversationId ?? []);
          await handle(ids, job.data.lane).catch((error: Error) =>
            log.warn(`Lookup job put off: ${error.message}`, "LookupQueue"),
          );
          return null;
        },
        { embedded: true, dataPath, concurrency: jobsInFlight, drainDelay: pollMs },
      );
      worker.on("error", (error: Error) => log.warn(`Lookup queue: ${error.message}`, "LookupQueue"));
    },

    /** Jobs that wait, delayed ones included. */
    async depth(): Promise<number> {
      const counts = await queue.getJobCountsAsync();
      return counts.waiting + counts.delayed;
    },

    /** Stops taking jobs, lets those in flight end within a bound, and closes the file. */
    async [Symbol.asyncDispose](): Promise<void> {
      const closing = worker;
      if (closing !== null) {
        const done = await endsWithin(clock, closing.close(), closeBoundMs);
        if (!done) await closing.close(true);
      }
      queue.close();
      shutdownManager();
    },
  };
}

/**
 * Opens the file, or a new one where SQLite cannot read it any more: whom it held Postgres still knows. Throws where
 * not even a new one can be made.
 */
function openQueue(dataPath: string, log: Pick<Log, "warn">): Queue<LookupJob> {
  const open = () => new Queue<LookupJob>(queueName, { embedded: true, dataPath });
  try {
    return open();
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    if (!/^SQLITE_(CORRUPT|NOTADB)/.test(code)) throw error;
    for (const end of ["", "-wal", "-shm"])
      if (existsSync(`${dataPath}${end}`)) renameSync(`${dataPath}${end}`, `${dataPath}.damaged${end}`);
    log.warn(`Lookup queue begun anew, its damaged file is set aside as ${dataPath}.damaged (${code})`, "LookupQueue");
    return open();
  }
}
