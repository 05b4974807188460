/** An outside object whose members nobody has checked yet. */
export type OutsideRecord = Readonly<Record<string, unknown>>;

/** True for a JSON object; false for null, lists and plain values. */
export function isRecord(value: unknown): value is OutsideRecord {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Engines hand the reviver the number's own text; the standard library's type does not know it yet. */
type RevivedNumber = { readonly source?: string } | undefined;

/**
 * A number that may be whole and beyond 2^53: of 16 digits or more, or with an exponent. It finds such inside of texts too,
 * which only costs time.
 */
const maybeUnsafe = /(?:^|[[:,\s])-?\d(?:\d{15}|[\d.]*[eE])/;
/** No text of so few brackets is too deep to walk; an answer about 50 people or threads has some 250. */
const bracketsMax = 1_000;

/** Whether `JSON.parse()` alone reads the text as `parseJson()` promises: a reviver makes it six times as long. */
function isPlain(text: string): boolean {
  let brackets = 0;
  for (const bracket of ["[", "{"])
    for (let at = text.indexOf(bracket); at >= 0; at = text.indexOf(bracket, at + 1)) {
      brackets += 1;
      if (brackets > bracketsMax) return false;
    }
  return !maybeUnsafe.test(text);
}

/**
 * Parses JSON, and keeps a whole number beyond 2^53 as the text it was: an id that came as a bare number keeps its
 * digits (meta-platform.md §0.4). Answers undefined where `text` is no JSON or too deep to walk. Never throws.
 */
export function parseJson(text: string): unknown {
  try {
    if (isPlain(text)) return JSON.parse(text);
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
