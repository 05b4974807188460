/**
 * Finds where values stand in JSON text, so that an item can be kept exactly as it came: nothing is re-serialised.
 * `scanJson` reads any text; the other functions expect one that `JSON.parse` has accepted.
 */

/** A value's place in the text: `text.slice(start, end)`. */
export type Span = { readonly start: number; readonly end: number };

const quote = 34;
const backslash = 92;
const openBracket = 91;
const closeBracket = 93;
const openBrace = 123;
const closeBrace = 125;
const comma = 44;
const isDigit = (code: number) => code >= 48 && code <= 57;
const isSpace = (code: number) => code === 32 || code === 10 || code === 13 || code === 9;

/** A whole number of this many digits may not survive `JSON.parse`: 2^53 has 16. */
export const exactDigitsMax = 15;

/** What one pass over a text found. */
export type JsonScan = {
  readonly text: string;
  readonly tooDeep: boolean;
  /** A bare whole number is too long to be exact. */
  readonly longNumber: boolean;
  /** Where each object and array opens, in order, and where the same one has ended. */
  readonly opens: readonly number[];
  readonly ends: readonly number[];
};

/**
 * Reads the text once without recursion: how deep it nests, whether a number is too long, where each bracket closes.
 * Stops at `depthMax` + 1, since a text of ten million brackets would take `JSON.parse` seconds.
 */
export function scanJson(text: string, depthMax: number): JsonScan {
  const opens: number[] = [];
  const ends: number[] = [];
  const open: number[] = []; // places in `ends` that wait for their end
  let longNumber = false;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === quote) at = endOfString(text, at) - 1;
    else if (code === openBrace || code === openBracket) {
      if (open.length === depthMax) return { text, tooDeep: true, longNumber, opens, ends };
      open.push(opens.length);
      opens.push(at);
      ends.push(text.length);
    } else if (code === closeBrace || code === closeBracket) {
      const place = open.pop();
      if (place !== undefined) ends[place] = at + 1;
    } else if (isDigit(code)) {
      const start = at;
      while (isDigit(text.charCodeAt(at + 1))) at += 1;
      if (at + 1 - start > exactDigitsMax) longNumber = true;
    }
  }
  return { text, tooDeep: false, longNumber, opens, ends };
}

/** Puts quotes round every bare whole number that `JSON.parse` could change. */
export function quoteLongNumbers(text: string): string {
  const parts: string[] = [];
  let copied = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === quote) {
      at = endOfString(text, at) - 1;
      continue;
    }
    if (!isDigit(code) && code !== 45) continue;
    const start = at;
    while (/[0-9.eE+-]/.test(text[at + 1] ?? "")) at += 1;
    const number = text.slice(start, at + 1);
    if (number.length <= exactDigitsMax || !/^-?\d+$/.test(number)) continue;
    parts.push(text.slice(copied, start), `"${number}"`);
    copied = at + 1;
  }
  return copied === 0 ? text : parts.join("") + text.slice(copied);
}

/** The member `name` of the object that starts at `start`; of two with one name the last, as in `JSON.parse`. */
export function findMember(scan: JsonScan, start: number, name: string): Span | null {
  const { text } = scan;
  let found: Span | null = null;
  let at = skipSpace(text, start + 1);
  while (text.charCodeAt(at) === quote) {
    const nameEnd = endOfString(text, at);
    const valueStart = skipSpace(text, skipSpace(text, nameEnd) + 1); // over the colon
    const end = endOfValue(scan, valueStart);
    if (isNamed(text, at, nameEnd, name)) found = { start: valueStart, end };
    at = skipSpace(text, end);
    if (text.charCodeAt(at) === comma) at = skipSpace(text, at + 1);
  }
  return found;
}

/** Compares the quoted word from `start` to `end`; a word with escapes is read first. */
function isNamed(text: string, start: number, end: number, name: string): boolean {
  if (end - start - 2 === name.length && text.startsWith(name, start + 1)) return true;
  return text.slice(start, end).includes("\\") && JSON.parse(text.slice(start, end)) === name;
}

/** The elements of the array that starts at `start`, in order. */
export function readElements(scan: JsonScan, start: number): Span[] {
  const { text } = scan;
  const elements: Span[] = [];
  let at = skipSpace(text, start + 1);
  while (at < text.length && text.charCodeAt(at) !== closeBracket) {
    const end = endOfValue(scan, at);
    elements.push({ start: at, end });
    at = skipSpace(text, end);
    if (text.charCodeAt(at) === comma) at = skipSpace(text, at + 1);
  }
  return elements;
}

/** Where the value that `text` holds starts: its first character that is no white space. */
export function skipSpace(text: string, from: number): number {
  let at = from;
  while (isSpace(text.charCodeAt(at))) at += 1;
  return at;
}

function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end !== -1; end = text.indexOf('"', end + 1)) {
    let backslashes = 0;
    while (text.charCodeAt(end - 1 - backslashes) === backslash) backslashes += 1;
    if (backslashes % 2 === 0) return end + 1;
  }
  return text.length;
}

function endOfValue({ text, opens, ends }: JsonScan, start: number): number {
  const first = text.charCodeAt(start);
  if (first === quote) return endOfString(text, start);
  if (first === openBrace || first === openBracket) return ends[placeOf(opens, start)] ?? text.length;
  let at = start;
  while (at < text.length && !endsWord(text.charCodeAt(at))) at += 1;
  return at;
}

const endsWord = (code: number) => code === comma || code === closeBrace || code === closeBracket || isSpace(code);

/** The place of `value` in a rising list that holds it. */
function placeOf(rising: readonly number[], value: number): number {
  let low = 0;
  let high = rising.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((rising[middle] ?? value) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
