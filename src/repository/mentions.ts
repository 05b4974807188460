import { idLengthMax } from "../domain/ids.ts";

/** Words of one body that are taken for ids: a full delivery has some thousand; more than this is noise. */
export const mentionsMax = 50_000;
const words = new RegExp(`[A-Za-z0-9.-]{1,${idLengthMax + 1}}`, "g");

/** The words of bytes that nobody could read which may be somebody's id: with a digit, whatever stands around. Pure. */
export function listMentions(bytes: Uint8Array): ReadonlySet<string> {
  const mentions = new Set<string>();
  for (const [word] of Buffer.from(bytes).toString("latin1").matchAll(words)) {
    if (word.length <= idLengthMax && /\d/.test(word)) mentions.add(word);
    if (mentions.size === mentionsMax) break;
  }
  return mentions;
}
