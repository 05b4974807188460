import { SyncError } from "../domain/error.ts";

/** A place in a list, as both lists of the API have it: the sort key of the last row that was shown. */
export type Place = { readonly atMs: number; readonly id: string };

/** Bumped where the meaning of a cursor changes: an older one is refused then, and the client starts at the top. */
const cursorVersion = 1;
/** Longest cursor that is looked at. A message id has some 200 characters at most; this is four times the room. */
export const cursorLengthMax = 1024;
/** The last moment that JavaScript and Postgres both can tell. */
const timeMsMax = 8_640_000_000_000_000;

/**
 * Writes a place as opaque text. `list` names the list it is for: a cursor is good for its own list only. The check
 * sum is no secret (a cursor opens nothing that its reader could not see anyway); it makes a damaged one a 400 and
 * not a wrong page.
 */
export function buildCursor(list: string, place: Place): string {
  const text = JSON.stringify([cursorVersion, place.atMs, place.id, sumOf(list, place)]);
  return Buffer.from(text).toString("base64url");
}

/** Reads what `buildCursor()` wrote for the same list. Throws `usage_invalid` for anything else. */
export function parseCursor(list: string, text: string): Place {
  const place = text.length <= cursorLengthMax ? readPlace(text) : null;
  // Written again and compared: one place has one spelling, and whatever was changed shows.
  if (place === null || buildCursor(list, place) !== text)
    throw new SyncError("usage_invalid", "Cannot read the cursor: hand back a nextCursor of this list, unchanged");
  return place;
}

function readPlace(text: string): Place | null {
  let parts: unknown;
  try {
    parts = JSON.parse(Buffer.from(text, "base64url").toString());
  } catch {
    return null;
  }
  if (!Array.isArray(parts)) return null;
  const [, atMs, id]: unknown[] = parts;
  if (typeof atMs !== "number" || !Number.isInteger(atMs) || Math.abs(atMs) > timeMsMax) return null;
  // Postgres takes neither NUL nor half a surrogate pair.
  if (typeof id !== "string" || id === "" || id.includes("\0") || !id.isWellFormed()) return null;
  return { atMs, id };
}

function sumOf(list: string, place: Place): string {
  return Bun.hash(JSON.stringify([cursorVersion, list, place.atMs, place.id])).toString(36);
}
