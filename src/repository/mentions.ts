import { idLengthMax } from "../domain/ids.ts";

/** Words of one body that are taken for ids: a full delivery has some thousand; more than this is noise. */
export const mentionsMax = 50_000;

/** Letters, digits, `.` and `-`: what ids are made of. */
const isWordByte = Uint8Array.from({ length: 256 }, (_, byte) =>
  /[A-Za-z0-9.-]/.test(String.fromCharCode(byte)) ? 1 : 0,
);
const [zero, nine] = [48, 57];

/**
 * The words of bytes that nobody could read which may be somebody's id: with a digit, whatever stands around. Byte by
 * byte, since a body of half a million words would hold everybody up for as long as a pattern takes to find them. Pure.
 */
export function listMentions(bytes: Uint8Array): ReadonlySet<string> {
  const mentions = new Set<string>();
  let start = 0;
  let hasDigit = false;
  for (let at = 0; at <= bytes.length && mentions.size < mentionsMax; at++) {
    const byte = bytes[at] ?? 0;
    if (isWordByte[byte] === 1) {
      hasDigit ||= byte >= zero && byte <= nine;
      continue;
    }
    if (hasDigit && at - start <= idLengthMax) mentions.add(String.fromCharCode(...bytes.subarray(start, at)));
    start = at + 1;
    hasDigit = false;
  }
  return mentions;
}
