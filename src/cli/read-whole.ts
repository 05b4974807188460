import { SyncError } from "../domain/error.ts";

/** Reads an option that is a whole number in bounds; `fallback` where it was not given. Throws `usage_invalid` with the accepted form. */
export function readWhole(
  option: string,
  text: string | null,
  { fallback, min, max }: { readonly fallback: number; readonly min: number; readonly max: number },
): number {
  if (text === null) return fallback;
  const number = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (number >= min && number <= max) return number;
  throw new SyncError("usage_invalid", `Cannot use ${option}: it takes a whole number from ${min} to ${max}`);
}
