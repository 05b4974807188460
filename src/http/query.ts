import { SyncError } from "../domain/error.ts";
import { queryOf } from "./request-address.ts";

/** Rows on a page where the caller does not say, and at most. */
export const pageLimitDefault = 20;
export const pageLimitMax = 100;
/** Longest text filter; an operator's own account name is far shorter. */
const filterLengthMax = 128;
/** Unknown keys that a refusal names, and characters of each: enough to find the typo. */
const namedKeysMax = 5;
const namedKeyLengthMax = 40;

function refuse(detail: string): never {
  throw new SyncError("usage_invalid", detail);
}

/**
 * Reads a query of which every key is one of `known` and stands there once. Parsed by hand: Elysia's coercion takes
 * "1e1" for 10, and a misspelt filter that is ignored shows other people's conversations.
 */
export function parseQuery<Key extends string>(url: string, known: readonly Key[]): Record<Key, string | null> {
  const values: Record<string, string | null> = Object.create(null);
  for (const key of known) values[key] = null;
  const unknown: string[] = [];
  for (const [key, value] of queryOf(url)) {
    if (!(key in values)) unknown.push(JSON.stringify(key.slice(0, namedKeyLengthMax)));
    else if (values[key] !== null) refuse(`Cannot read the query: ${key} stands there more than once`);
    else values[key] = value;
  }
  if (unknown.length > 0) {
    const takes = known.length === 0 ? "this address takes none" : `it takes ${known.join(", ")}`;
    refuse(`Cannot read the query: unknown ${unknown.slice(0, namedKeysMax).join(", ")}; ${takes}`);
  }
  return values;
}

/** A whole number in plain digits, 1…100; 20 where absent. */
export function parseLimit(text: string | null): number {
  if (text === null) return pageLimitDefault;
  const limit = /^[1-9][0-9]{0,2}$/.test(text) ? Number(text) : 0;
  if (limit < 1 || limit > pageLimitMax)
    refuse(`Cannot read the query: limit must be a whole number from 1 to ${pageLimitMax}`);
  return limit;
}

/** One of `choices`, spelt exactly; null where absent. */
export function parseChoice<Choice extends string>(
  key: string,
  text: string | null,
  choices: readonly Choice[],
): Choice | null {
  if (text === null) return null;
  return (
    choices.find((choice) => choice === text) ??
    refuse(`Cannot read the query: ${key} must be one of ${choices.join(", ")}`)
  );
}

/** Text without control characters; null where absent. */
export function parseText(key: string, text: string | null): string | null {
  if (text === null) return null;
  if (text === "" || text.length > filterLengthMax || /\p{Cc}/u.test(text))
    refuse(
      `Cannot read the query: ${key} must have 1 to ${filterLengthMax} characters, none of them a control character`,
    );
  return text;
}
