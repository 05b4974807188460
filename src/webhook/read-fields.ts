import { createHash } from "node:crypto";
import { usernameLengthMax } from "../domain/profile.ts";
import { cleanText } from "../lib/clean-text.ts";
import { parseTimeMs } from "../lib/parse-time.ts";

/** Reads single values of Meta's payloads, which come in more forms than the documents say. All pure. */

/** Longest message id that is kept as it is; Meta's run to some 165 characters. A longer one is kept as its hash, since an index row has a bound. */
export const midLengthMax = 512;
/** A clock of Meta's may run ahead of ours a little; anything later than this is a mistake and would hold the top of every list for ever. */
export const futureMaxMs = 86_400_000;

export type JsonObject = Readonly<Record<string, unknown>>;

export function readObject(value: unknown): JsonObject | null {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as JsonObject) : null;
}

/** Text that Postgres can hold: it refuses NUL, and a half surrogate pair is no text. The raw item keeps both. */
export function readText(value: unknown): string | null {
  if (typeof value !== "string") return null;
  return value.toWellFormed().replaceAll("\u0000", "\uFFFD");
}

/**
 * A username, fit to keep and to show as Graph's are; null where there is none, or where it is longer than any can be: a
 * piece of one would be another's.
 */
export function readUsername(value: unknown): string | null {
  if (typeof value !== "string" || value.length > usernameLengthMax) return null;
  return cleanText(value, usernameLengthMax);
}

/** An id: text, or a number that is exact. `"inexact"` where digits are already lost. */
export function readId(value: unknown): string | null | "inexact" {
  if (typeof value === "number") return Number.isSafeInteger(value) ? String(value) : "inexact";
  return typeof value === "string" && value !== "" ? value : null;
}

/** A message's id, cut to what an index can hold. */
export function readMid(value: unknown): string | null {
  const text = typeof value === "number" && Number.isSafeInteger(value) ? String(value) : readText(value);
  if (text === null || text === "") return null;
  return text.length <= midLengthMax ? text : `sha256:${hashOf(text)}`;
}

export function readWholeNumber(value: unknown): number | null {
  const number = typeof value === "string" && /^\d{1,9}$/.test(value) ? Number(value) : value;
  return typeof number === "number" && Number.isSafeInteger(number) && number >= 0 ? number : null;
}

/** A time as `parseTimeMs()` reads it; one too far ahead is brought back to `nowMs`. */
export function readTimeMs(value: unknown, nowMs: number): number | null {
  const ms = parseTimeMs(value);
  return ms !== null && ms > nowMs + futureMaxMs ? nowMs : ms;
}

/** A short name for content that carries none of its own: the same content has the same one. */
export function hashOf(...parts: readonly (string | number | null)[]): string {
  return createHash("sha256").update(JSON.stringify(parts)).digest("base64url").slice(0, 27);
}
