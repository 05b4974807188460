/** Times below this are seconds: in milliseconds it would be March 1973. */
const secondsBelow = 1e11;

/**
 * A time in milliseconds since 1970 from seconds, milliseconds, digits as text, or ISO text (`2026-04-05T05:27:08+0000`
 * too); null where it is none. Zero is none: it is what a sender without a clock sends.
 */
export function parseTimeMs(value: unknown): number | null {
  const number = typeof value === "string" && /^\d{1,16}$/.test(value) ? Number(value) : value;
  const ms =
    typeof number === "number"
      ? number * (number < secondsBelow ? 1_000 : 1)
      : typeof value === "string"
        ? Date.parse(value)
        : Number.NaN;
  return Number.isFinite(ms) && ms > 0 ? Math.round(ms) : null;
}
