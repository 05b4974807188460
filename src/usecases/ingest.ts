import type { Clock } from "../lib/clock.ts";
import { passFaultPoint } from "../lib/fault-point.ts";
import type { Log } from "../lib/log.ts";
import { messageOf } from "../lib/message-of.ts";
import { createSharedBound } from "../lib/shared-bound.ts";
import type { Spool, SpoolRecord } from "../spool/spool.ts";
import { type ParsedWebhook, parseWebhook } from "../webhook/parse-webhook.ts";
import { verifySignature } from "../webhook/verify-signature.ts";
import { createDoor } from "./door.ts";
import type { Store } from "./store.ts";

/** Events of one commit: more would hold its rows' locks long; a full delivery of Meta's has up to 1,000. */
export const eventsPerCommitMax = 2_000;
/**
 * Posts that may wait for their commit: what two commits under way and the next one carry, some 150 ms of work. More
 * of them go to the spool, which takes a multiple of what the database does.
 */
export const postsCommittingMax = 1_024;
/** Posts that may wait for the disk. Beyond that Meta is told to come again, before memory and waiting grow without bound. */
export const postsSpoolingMax = 768;
/**
 * The same in a flood. Whoever is refused waits for the turn of the event loop before theirs, and each post that is taken
 * makes that longer: of three times the load that Postgres takes, 128 kept as many as 768 and refused three times sooner.
 */
export const postsInFloodMax = 128;
/**
 * A flood is over once it has not filled anything for so long. Asked by what waits alone it would end between two rounds
 * of the disk, and what came next would cost this thread a commit again: in a flood that halved what was kept.
 */
export const floodLastsMs = 1_000;
/** Once full, the door stays shut until no more than this share of the limit waits: each change of it costs the server some 0.2 ms. */
const doorOpensBelow = 0.1;
/** A spool that had no room is left alone for so long in a flood: the database takes what it can. */
const spoolAvoidedMs = 1_000;
/** Bytes of bodies that may wait, for the same reason: some few deliveries are megabytes. */
export const bytesWaitingMax = 64 * 1024 * 1024;
/** Commits under way at once: while Postgres flushes one, the posts read meanwhile are on their way. A third only makes them smaller. */
export const commitsInFlightMax = 2;
/** A commit, with everything it needs: beyond that its posts go to the spool. */
export const commitBoundMs = 900;
/** The spool's answer. A post waits for the commit under way, then its own, then the spool: 2.7 s of the 3 s of spec §3. */
export const spoolBoundMs = 900;

export type IngestDependencies = {
  store: Pick<Store, "store">;
  spool: Pick<Spool, "append">;
  /** Told of each post that was refused here because too many waited; not of those that a listener of `onFull` refuses. */
  onShed: () => void;
  /** Told when no delivery can be taken any more, and when again: whoever listens can refuse them unread. */
  onFull: (full: boolean) => void;
  clock: Pick<Clock, "nowMs" | "monotonicMs" | "soon" | "after">;
  log: Log;
};

export type IngestOptions = {
  appSecrets: readonly string[];
  /** Every post goes through the spool: for a database that does not flush what it commits. */
  spoolFirst: boolean;
  /** The database was away when the daemon started: posts go to the spool until `resume()`. */
  startsAway: boolean;
};

/** What a delivery came to. `unavailable`: nothing was kept, let it be sent again. */
export type Receipt = "kept" | "unsigned" | "unavailable";

type Post = {
  readonly body: Uint8Array;
  readonly headers: Headers;
  readonly receivedAtMs: number;
  readonly parsed: ParsedWebhook;
  readonly settle: (receipt: Receipt) => void;
};

export type Ingest = ReturnType<typeof createIngest>;

/**
 * Makes the way in: verify the bytes, read them, store them, and only then say `kept`. Posts of one turn of the event
 * loop share a commit, and so do posts that wait for one. Where the database is away, slow or full, they are flushed to
 * the spool instead, until `resume()` says that it takes them again; and so are those beyond what it can follow. No Graph, cache or queue call stands in between.
 */
export function createIngest(
  { store, spool, onShed, onFull, clock, log }: IngestDependencies,
  { appSecrets, spoolFirst, startsAway }: IngestOptions,
) {
  let waiting: Post[] = [];
  /** Posts that are in memory and not yet safe: those that wait for their commit, those that wait for the disk. */
  const held = { committing: 0, spooling: 0, bytes: 0 };
  let commitsInFlight = 0;
  let scheduled = false;
  let away = startsAway;
  let floodedUntilMs = 0;
  let spoolAvoidedUntilMs = 0;
  const withinSpoolBound = createSharedBound(clock, spoolBoundMs);
  const door = createDoor(onFull, clock);

  /**
   * A flood: more comes than the database follows. Then everything goes to the spool, which costs this thread half of
   * what a commit does, until the flood is over; unless the spool has just refused one.
   */
  const isFlooded = (): boolean => {
    const nowMs = clock.monotonicMs();
    if (door.isShut() || held.committing >= postsCommittingMax) floodedUntilMs = nowMs + floodLastsMs;
    return nowMs < floodedUntilMs && nowMs >= spoolAvoidedUntilMs;
  };
  const goesToSpool = (): boolean => spoolFirst || away || isFlooded();
  const spoolingMax = (): number => (isFlooded() ? postsInFloodMax : postsSpoolingMax);
  /** Whether `share` of what may wait does, with `bytes` more. */
  const isFull = (bytes: number, share = 1): boolean =>
    held.bytes + bytes > share * bytesWaitingMax ||
    (goesToSpool() ? held.spooling >= share * spoolingMax() : held.committing >= share * postsCommittingMax);
  /** After every change of what is held: while anything is, another change will follow. */
  const watchDoor = (): void => door.set(isFull(0, door.isShut() ? doorOpensBelow : 1));

  /** Commits what waits, again and again until nothing does. Never rejects. */
  const commitAll = async () => {
    scheduled = false;
    commitsInFlight += 1;
    while (waiting.length > 0) await commit(takeBatch());
    commitsInFlight -= 1;
  };

  const takeBatch = (): Post[] => {
    let events = 0;
    let count = 0;
    for (const post of waiting) {
      events += post.parsed.events.length;
      if (count > 0 && events > eventsPerCommitMax) break;
      count += 1;
    }
    const batch = waiting.slice(0, count);
    waiting = waiting.slice(count);
    return batch;
  };

  const commit = async (posts: readonly Post[]): Promise<void> => {
    try {
      await store.store(
        posts.map((post) => post.parsed),
        { statementMs: commitBoundMs, allMs: commitBoundMs },
      );
    } catch (error) {
      turnToSpool(posts, error);
      return;
    }
    for (const post of posts) post.settle("kept");
  };

  /** These posts were not stored, so neither will be those that wait: they would only lose their time. */
  const turnToSpool = (posts: readonly Post[], error: unknown): void => {
    if (!away)
      log.warn("Postgres does not take messages: they wait in the spool", context, {
        reason: messageOf(error),
      });
    away = true;
    const all = [...posts, ...waiting];
    waiting = [];
    for (const post of all) void keepInSpool(post).then(post.settle, () => post.settle("unavailable"));
  };

  const keepInSpool = async ({ body, headers, receivedAtMs }: Omit<Post, "parsed" | "settle">): Promise<Receipt> => {
    const record: SpoolRecord = { receivedAtMs, headers: [...headers].filter(([name]) => isKept(name)), body };
    held.spooling += 1;
    held.bytes += body.length;
    watchDoor();
    // What the disk still has in hand stays counted, whether or not its sender was told to come again.
    const appended = spool.append(record).finally(() => {
      held.spooling -= 1;
      held.bytes -= body.length;
      watchDoor();
    });
    const receipt = await withinSpoolBound(appended);
    if (receipt === null) return "unavailable";
    if (receipt !== "kept") {
      spoolAvoidedUntilMs = clock.monotonicMs() + spoolAvoidedMs;
      return "unavailable";
    }
    passFaultPoint("spooled");
    return "kept";
  };

  const keepInDatabase = (post: Omit<Post, "parsed" | "settle">): Promise<Receipt> => {
    const parsed = parseWebhook(post.body, post.receivedAtMs);
    logQuarantined(log, parsed);
    const receipt = Promise.withResolvers<Receipt>();
    held.committing += 1;
    held.bytes += post.body.length;
    watchDoor();
    const settle = (told: Receipt) => {
      held.committing -= 1;
      held.bytes -= post.body.length;
      watchDoor();
      receipt.resolve(told);
    };
    waiting.push({ ...post, parsed, settle });
    if (!scheduled && commitsInFlight < commitsInFlightMax) {
      scheduled = true;
      // Not at once: posts of one burst are read one after the other, and the first shall not go alone.
      clock.soon(() => void commitAll());
    }
    return receipt.promise;
  };

  return {
    /** Takes one delivery. Answers once it is committed or flushed to the spool, or refused. Never rejects. */
    receive(body: Uint8Array, headers: Headers): Promise<Receipt> {
      if (isFull(body.length)) {
        onShed();
        return Promise.resolve("unavailable");
      }
      if (!verifySignature(body, headers.get("x-hub-signature-256"), appSecrets)) return Promise.resolve("unsigned");
      const post = { body, headers, receivedAtMs: clock.nowMs() };
      return goesToSpool() ? keepInSpool(post) : keepInDatabase(post);
    },
    /** Whether a delivery would be refused now: known before its body is read, so that refusing costs next to nothing. */
    isFull: () => {
      if (!isFull(0)) return false;
      onShed();
      return true;
    },
    /** The database takes messages again: posts go to it once more. */
    resume(): void {
      if (away) log.log("Postgres takes messages again", context);
      away = false;
    },
    /** Whether more comes than the database follows: the spool is not drained meanwhile. */
    isFlooded,
    /** Whether posts go to the spool because the database failed. */
    isAway: () => away,
    /** Posts in memory that are not yet safe. */
    depth: () => held.committing + held.spooling,
    /** Whether no delivery is taken just now. */
    isShut: door.isShut,
    /** For how long none was taken so far, in ms. */
    shutMs: door.shutMs,
  };
}

/** Says what of a delivery could not be read. */
export function logQuarantined(log: Pick<Log, "warn">, { quarantined }: ParsedWebhook): void {
  if (quarantined.length > 0)
    log.warn("Webhook item set aside", context, { reasons: [...new Set(quarantined.map((item) => item.reason))] });
}

/** Everything a proxy or Meta said about the delivery, but nobody's key. */
const isKept = (name: string) => name !== "authorization" && name !== "cookie";

const context = "WebhookMessageHandler";
