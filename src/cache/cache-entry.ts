import { type AccountId, type ParticipantId, parseAccountId, parseParticipantId } from "../domain/ids.ts";
import { nameLengthMax, type Profile, profileTtlMs, usernameLengthMax } from "../domain/profile.ts";

/** Layout of a cached value. Raise it when the layout changes: other versions are misses, so two releases can share one Redis. */
export const entryVersion = 1;
/** Longest value that is looked at, in characters. Ours have under 6,000. */
export const entryLengthMax = 16_384;
/** Longest picture address that is believed, in characters. */
const pictureUrlLengthMax = 4096;

/** What a stored value turned out to be. `stale` is sound but not for us; `corrupt` is to be deleted. */
export type EntryReading =
  | { readonly kind: "hit"; readonly profile: Profile }
  | { readonly kind: "stale" }
  | { readonly kind: "corrupt" };

const keyPrefix = "instagram:profile:";

/** The key of a person's profile. Fixed by spec §4: operators look it up by hand. */
export function buildKey(participantId: ParticipantId): string {
  return `${keyPrefix}${participantId}`;
}

/** The person whom a key is about; null where it is none of ours. */
export function parseKey(key: string): ParticipantId | null {
  return key.startsWith(keyPrefix) ? parseParticipantId(key.slice(keyPrefix.length)) : null;
}

/** For how many whole seconds `profile` may be kept: a day, or until its picture dies. 0 or less: not at all. */
export function readTtlSeconds(profile: Pick<Profile, "pictureExpiresAtMs">, nowMs: number): number {
  const pictureMs = profile.pictureExpiresAtMs === null ? profileTtlMs : profile.pictureExpiresAtMs - nowMs;
  return Math.floor(Math.min(profileTtlMs, pictureMs) / 1000);
}

/** The value as it is stored: JSON that a person can read (spec §4). */
export function buildEntry(accountId: AccountId, profile: Profile): string {
  const { fetchedAtMs, username, name, pictureUrl, pictureExpiresAtMs } = profile;
  return JSON.stringify({
    v: entryVersion,
    accountId,
    fetchedAt: new Date(fetchedAtMs).toISOString(),
    username,
    name,
    profilePic: pictureUrl,
    pictureExpiresAt: pictureExpiresAtMs === null ? null : new Date(pictureExpiresAtMs).toISOString(),
  });
}

function parseRecord(text: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : null;
  } catch {
    return null;
  }
}

function isTextOrNull(value: unknown, lengthMax: number): value is string | null {
  // NUL and lone surrogates are refused by Postgres, where a hit ends up.
  return (
    value === null ||
    (typeof value === "string" && value.length <= lengthMax && !value.includes("\0") && value.isWellFormed())
  );
}

function readTimeMs(value: unknown): number | null {
  const timeMs = typeof value === "string" && /^\d{4}-\d\d-\d\dT/.test(value) ? Date.parse(value) : Number.NaN;
  return Number.isNaN(timeMs) ? null : timeMs;
}

/** Script addresses and the like never come out of the cache, whoever put them there. */
function isWebAddress(text: string): boolean {
  const protocol = URL.parse(text)?.protocol;
  return protocol === "https:" || protocol === "http:";
}

/**
 * Reads a stored value for `accountId` and `participantId`. A value of another account or version, or with a dead picture, is `stale`; anything that
 * is not exactly our layout is `corrupt`. Never throws, whatever stands there.
 */
export function parseEntry(
  asked: { readonly accountId: AccountId; readonly participantId: ParticipantId; readonly nowMs: number },
  text: string,
): EntryReading {
  const corrupt: EntryReading = { kind: "corrupt" };
  const record = text.length > entryLengthMax ? null : parseRecord(text);
  if (record === null || typeof record.v !== "number") return corrupt;
  if (record.v !== entryVersion) return { kind: "stale" };

  const { username, name, profilePic, pictureExpiresAt } = record;
  const accountId = parseAccountId(record.accountId);
  const fetchedAtMs = readTimeMs(record.fetchedAt);
  const pictureExpiresAtMs = pictureExpiresAt === null ? null : readTimeMs(pictureExpiresAt);
  if (accountId === null || fetchedAtMs === null) return corrupt;
  if (!isTextOrNull(username, usernameLengthMax) || !isTextOrNull(name, nameLengthMax)) return corrupt;
  if (!isTextOrNull(profilePic, pictureUrlLengthMax) || (profilePic !== null && !isWebAddress(profilePic))) {
    return corrupt;
  }
  if (pictureExpiresAt !== null && pictureExpiresAtMs === null) return corrupt;

  if (accountId !== asked.accountId) return { kind: "stale" };
  if (pictureExpiresAtMs !== null && pictureExpiresAtMs <= asked.nowMs) return { kind: "stale" };
  const { participantId } = asked;
  const profile: Profile = { participantId, username, name, pictureUrl: profilePic, pictureExpiresAtMs, fetchedAtMs };
  return { kind: "hit", profile };
}
