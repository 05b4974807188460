/** C0 and C1 controls (NUL too: Postgres refuses it), and the bidi overrides whose effect runs out of the field. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: taking them out is the point.
const unwanted = /[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g;
/** What nearly every username is: nothing of it can be unfit. */
const plain = /^[!-~]+$/;
const lineBreaks = /[\t\n\v\f\r\u2028\u2029]+/g;

/** Only so many times the wanted length is looked at: a name of a megabyte is cut before it is cleaned. */
export const cleanedLengthFactor = 4;

/**
 * Makes text from outside fit to keep and to show: lone surrogates become U+FFFD, controls go, line breaks become a
 * blank, and what is over `lengthMax` UTF-16 units is cut between code points. Right-to-left text and joined emoji stay.
 * Answers null where nothing is left or the value is no text.
 */
export function cleanText(value: unknown, lengthMax: number): string | null {
  if (typeof value !== "string") return null;
  if (value.length <= lengthMax && plain.test(value)) return value;
  const head = value.slice(0, lengthMax * cleanedLengthFactor).toWellFormed();
  const text = head.replace(lineBreaks, " ").replace(unwanted, "").trim();
  const cut = text.slice(0, lengthMax);
  // A cut through a pair leaves its high half at the end.
  const whole = cut.isWellFormed() ? cut : cut.slice(0, -1);
  return whole === "" ? null : whole.trimEnd();
}
