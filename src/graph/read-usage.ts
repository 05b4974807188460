import { isRecord, parseJson } from "./parse-json.ts";
import { type Usage, worseUsage } from "./usage.ts";

/** A header that names a longer pause is broken or hostile: no allowance of Meta's runs over more than a day (§5.1). */
export const regainMaxMs = 24 * 3_600_000;
/** Entries read of one header. Meta sends up to 32 objects with a few types each (§5.2). */
export const usageEntriesMax = 512;

/** Classic and graph.instagram.com's own names of the same three figures (§5.3). */
const percentKeys = ["call_count", "total_cputime", "total_time", "call_volume", "cpu_time"] as const;
const minuteMs = 60_000;

/** A figure that may come as 17, "17" or "17%"; null where it is none. */
function readFigure(value: unknown): number | null {
  const figure = typeof value === "string" ? Number.parseFloat(value) : value;
  return typeof figure === "number" && Number.isFinite(figure) && figure >= 0 ? figure : null;
}

function readEntry(entry: unknown): Usage | null {
  if (!isRecord(entry)) return null;
  const percents = percentKeys.map((key) => readFigure(entry[key])).filter((figure) => figure !== null);
  const minutes = readFigure(entry.estimated_time_to_regain_access) ?? 0;
  if (percents.length === 0 && minutes === 0) return null;
  // Minutes, and 0 means "not told": it is sent at 95-97 % too (§5.2).
  return {
    percent: Math.max(0, ...percents),
    regainMs: minutes > 0 ? Math.min(minutes * minuteMs, regainMaxMs) : null,
  };
}

/** X-Business-Use-Case-Usage: object ids, each with a list of entries; an object in the list's place is tolerated. */
function listBusinessEntries(header: unknown): unknown[] {
  if (!isRecord(header)) return [];
  return Object.values(header).flatMap((entries) => (Array.isArray(entries) ? entries : [entries]));
}

function readRetryAfter(text: string | null, nowMs: number): Usage | null {
  if (text === null) return null;
  const pauseMs = /^\s*\d{1,9}\s*$/.test(text) ? Number(text) * 1000 : Date.parse(text) - nowMs;
  return pauseMs > 0 ? { percent: 0, regainMs: Math.min(pauseMs, regainMaxMs) } : null;
}

/**
 * Reads the usage headers of one answer (meta-platform.md §5.2, §5.3): `X-App-Usage` with either set of keys,
 * `X-Page-Usage`, `X-Business-Use-Case-Usage`, and `Retry-After` should it ever appear. Answers the highest percentage
 * and the longest pause over all of them; null where no header told anything, which is not the same as zero. Never throws.
 */
export function readUsage(headers: Pick<Headers, "get">, nowMs: number): Usage | null {
  const entries = [
    parseJson(headers.get("x-app-usage") ?? ""),
    parseJson(headers.get("x-page-usage") ?? ""),
    ...listBusinessEntries(parseJson(headers.get("x-business-use-case-usage") ?? "")),
  ];
  let worst = readRetryAfter(headers.get("retry-after"), nowMs);
  for (const entry of entries.slice(0, usageEntriesMax)) {
    worst = worseUsage(worst, readEntry(entry));
  }
  return worst;
}
