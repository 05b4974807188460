/** An outside object whose members nobody has checked yet. */
export type OutsideRecord = Readonly<Record<string, unknown>>;

/** True for a JSON object; false for null, lists and plain values. */
export function isRecord(value: unknown): value is OutsideRecord {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Engines hand the reviver the number's own text; the standard library's type does not know it yet. */
type RevivedNumber = { readonly source?: string } | undefined;

/**
 * Parses JSON, and keeps a whole number beyond 2^53 as the text it was: an id that came as a bare number keeps its
 * digits (meta-platform.md §0.4). Answers undefined where `text` is no JSON or too deep to walk. Never throws.
 */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text, (_key: string, value: unknown, number?: RevivedNumber) =>
      typeof value === "number" && Number.isInteger(value) && !Number.isSafeInteger(value)
        ? (number?.source ?? value)
        : value,
    );
  } catch {
    return undefined;
  }
}

/** The items of a list as Graph wraps one: `{"data":[…]}`; none where it is anything else. */
export function listOf(value: unknown): readonly unknown[] {
  return isRecord(value) && Array.isArray(value.data) ? value.data : [];
}

/** An id as text: Meta sends text, a bare number is tolerated. null where it is neither. */
export function readIdText(value: unknown): string | null {
  if (typeof value === "string") return value;
  return typeof value === "number" && Number.isSafeInteger(value) ? String(value) : null;
}
