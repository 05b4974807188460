import { SyncError } from "../domain/error.ts";
import { showWord } from "./strict-arguments.ts";

const unitsMs: Readonly<Record<string, number>> = {
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 7 * 86_400_000,
};

/** A date, or a date with a time; without a zone it is UTC. */
const isoForm = /^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:?\d{2})?)?$/;

/**
 * Reads a moment in the past: `2026-11-20`, `2026-11-20T08:00:00Z`, or how long ago: `90m`, `2h`, `7d`. Answers
 * milliseconds since 1970. Throws `usage_invalid` with the accepted form.
 */
export function readSince(text: string, nowMs: number): number {
  const word = text.trim();
  const [, count = "", unit = ""] = /^(\d{1,6})([smhdw])$/.exec(word) ?? [];
  const spanMs = unitsMs[unit];
  const ms = spanMs === undefined ? readIso(word) : nowMs - Number(count) * spanMs;
  if (ms === null) throw refuse(`'${showWord(word)}' is neither a date nor a duration`);
  if (ms > nowMs) throw refuse(`'${showWord(word)}' is not in the past`);
  return ms;
}

function readIso(word: string): number | null {
  const match = isoForm.exec(word);
  if (match === null) return null;
  const [, time, , , zone] = match;
  const ms = Date.parse((time !== undefined && zone === undefined ? `${word}Z` : word).replace(" ", "T"));
  // `2026-02-31` would be taken for a day in March.
  const day = Date.parse(`${word.slice(0, 10)}T00:00:00Z`);
  const isDay = !Number.isNaN(day) && new Date(day).toISOString().startsWith(word.slice(0, 10));
  return Number.isNaN(ms) || !isDay ? null : ms;
}

const refuse = (problem: string) =>
  new SyncError(
    "usage_invalid",
    `Cannot use --since: ${problem} (accepted: 2026-11-20, 2026-11-20T08:00:00Z, or 90m, 2h, 7d)`,
  );
