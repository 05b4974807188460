import type { AccountId, ParticipantId } from "../domain/ids.ts";
import type { Profile } from "../domain/profile.ts";
import { chunk } from "../lib/chunk.ts";
import type { Clock } from "../lib/clock.ts";
import type { Log } from "../lib/log.ts";
import { messageOf } from "../lib/message-of.ts";
import { createBreaker } from "./breaker.ts";
import { buildEntry, buildKey, parseEntry, parseKey, readTtlSeconds } from "./cache-entry.ts";
import { createMemoryStore } from "./memory-store.ts";
import { isServerAnswer, openRedisStore } from "./redis-store.ts";
import type { StoredText, TextStore } from "./text-store.ts";

/** Keys of one command: Redis serves nobody else while it works one off. */
export const keysPerCommandMax = 500;
/** One line in so many ms about a cache that fails, with a count (spec §4). */
export const warnEveryMs = 30_000;

/** The room that the cache's lines are logged under (spec §8). */
const context = "InstagramApiService";

export type ProfileCacheOptions = {
  /** `redis://…` or `rediss://…`; null: in this process. */
  readonly url: string | null;
  /** Bounds every command and the first connection, in ms. */
  readonly timeoutMs: number;
  /** Most profiles held in this process. */
  readonly entriesMax: number;
  readonly clock: Clock;
  readonly log: Log;
};

export type ProfileCacheHealth = {
  readonly store: TextStore["name"];
  /** The last call worked, or none was made yet. */
  readonly working: boolean;
  /** Calls that failed since the start. */
  readonly failures: number;
  /** How long it is not even tried, in ms. */
  readonly skippedForMs: number;
};

/** A URL's password as it stands there and as it is sent; none where there is none. */
function readPasswords(url: string): string[] {
  const written = URL.parse(url)?.password ?? "";
  if (written === "") return [];
  try {
    return [decodeURIComponent(written), written];
  } catch {
    return [written];
  }
}

export type ProfileCache = Awaited<ReturnType<typeof openProfileCache>>;

/**
 * Opens the cache of profiles (spec §4): Redis where there is a `url`, else this process. Nothing in here throws or waits longer than
 * `timeoutMs`: a cache that fails is a miss, a skipped save and one `warn` every 30 s. Holds no tokens and no negative answers.
 */
export async function openProfileCache({ url, timeoutMs, entriesMax, clock, log }: ProfileCacheOptions) {
  const opening = url === null ? createMemoryStore({ entriesMax, clock }) : openRedisStore(url, timeoutMs, clock);
  const store = await opening;
  const breaker = createBreaker(clock);
  const secrets = url === null ? [] : readPasswords(url);
  let failures = 0;
  let failuresUntold = 0;
  let toldAtMs: number | null = null;
  let working = true;

  /** Redis's own words, one line, without the password should they hold it. */
  function describeFailure(cause: unknown): string {
    let text = messageOf(cause).replace(/\s+/g, " ");
    for (const secret of secrets) text = text.replaceAll(secret, "***");
    return text.slice(0, 200);
  }

  function warn(what: string, cause: unknown): void {
    failures += 1;
    failuresUntold += 1;
    working = false;
    const nowMs = clock.monotonicMs();
    if (toldAtMs !== null && nowMs - toldAtMs < warnEveryMs) return;
    toldAtMs = nowMs;
    log.warn(`${what}: ${describeFailure(cause)}`, context, { failures: failuresUntold });
    failuresUntold = 0;
  }

  /** Runs one call of the store with a deadline of our own; null where it failed or was not tried. */
  async function attempt<T>(onFailure: string, call: () => Promise<T>): Promise<T | null> {
    if (!breaker.enter()) return null;
    const startedMs = clock.monotonicMs();
    let cancel = () => {};
    const deadline = new Promise<never>((_, reject) => {
      cancel = clock.after(timeoutMs, () => reject(new Error(`no answer within ${timeoutMs} ms`)));
    });
    try {
      const result = await Promise.race([call(), deadline]);
      breaker.succeed();
      working = true;
      return result;
    } catch (cause) {
      // Only what was waited for shuts the breaker. A server that says no is awake; a connection that is not there
      // costs nothing, and skipping it would only delay its return.
      if (isServerAnswer(cause)) breaker.succeed();
      else if (clock.monotonicMs() - startedMs < timeoutMs / 2) breaker.pass();
      else if (breaker.fail()) store.renew();
      warn(onFailure, cause);
      return null;
    } finally {
      cancel();
    }
  }

  async function deleteKeys(keys: readonly string[]): Promise<boolean> {
    let deleted = true;
    for (const some of chunk(keys, keysPerCommandMax)) {
      const done = await attempt("Cache delete failure, going on", async () => {
        await store.deleteMany(some);
        return true;
      });
      deleted &&= done === true;
    }
    return deleted;
  }

  /** The profiles among `ids` that are held for this account. A corrupt value is deleted. Never throws. */
  async function getProfiles(
    accountId: AccountId,
    ids: readonly ParticipantId[],
  ): Promise<ReadonlyMap<ParticipantId, Profile>> {
    const hits = new Map<ParticipantId, Profile>();
    const corruptKeys: string[] = [];
    for (const some of chunk([...new Set(ids)], keysPerCommandMax)) {
      const texts = await attempt("Cache read failure, fetching instead", () => store.readMany(some.map(buildKey)));
      const nowMs = clock.nowMs();
      for (const [index, participantId] of some.entries()) {
        const text = texts?.[index] ?? null;
        if (text === null) continue;
        const reading = parseEntry({ accountId, participantId, nowMs }, text);
        if (reading.kind === "corrupt") corruptKeys.push(buildKey(participantId));
        if (reading.kind !== "hit") continue;
        hits.set(participantId, reading.profile);
        log.debug(`Cache hit for profile ${participantId}`, context);
      }
    }
    if (corruptKeys.length > 0) await deleteKeys(corruptKeys);
    return hits;
  }

  /** Keeps `profiles` for a day, or until their picture dies; one whose picture is dead already is not kept. Never throws. */
  async function saveProfiles(accountId: AccountId, profiles: readonly Profile[]): Promise<void> {
    const nowMs = clock.nowMs();
    for (const some of chunk(profiles, keysPerCommandMax)) {
      const entries: (StoredText & { readonly participantId: ParticipantId })[] = [];
      for (const profile of some) {
        const ttlSeconds = readTtlSeconds(profile, nowMs);
        if (ttlSeconds <= 0) continue;
        const { participantId } = profile;
        entries.push({ participantId, key: buildKey(participantId), text: buildEntry(accountId, profile), ttlSeconds });
      }
      if (entries.length === 0) continue;
      const saved = await attempt("Cache write failure, going on", async () => {
        await store.writeMany(entries);
        return true;
      });
      if (saved === null) continue;
      for (const { participantId, ttlSeconds } of entries) {
        log.debug(`Profile cached for ${participantId} with TTL ${ttlSeconds}s`, context);
      }
    }
  }

  /** Takes people out, for whichever account they are held. Answers false where that could not be done: an erasure tries again. Never throws. */
  function deleteProfiles(ids: readonly ParticipantId[]): Promise<boolean> {
    return deleteKeys(ids.map(buildKey));
  }

  /** Whom this process holds by itself: an erasure elsewhere cannot reach them. Nobody where Redis holds them. */
  function listHeld(): ParticipantId[] {
    return store.listKeys().flatMap((key) => parseKey(key) ?? []);
  }

  /** Where profiles are held, for the start-up line. */
  function describe(): TextStore["name"] {
    return store.name;
  }

  function health(): ProfileCacheHealth {
    return { store: store.name, working, failures, skippedForMs: breaker.shutForMs() };
  }

  return {
    getProfiles,
    saveProfiles,
    deleteProfiles,
    listHeld,
    describe,
    health,
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}
