import type { Explained } from "../usecases/explain.ts";
import { wrap } from "./help-text.ts";
import { plainText } from "./text-values.ts";

/** Widest that a story is set: longer lines are hard to read. */
const columnsMax = 100;

/** A conversation's story for people: a heading, then what was, what Instagram said, what comes, what one can do. */
export function renderStory({ record, story }: Explained, columns: number): string {
  const who = record.name ?? (record.username === null ? record.participantId : `@${record.username}`);
  const parts = [
    ["What was tried", story.happened],
    ["What Instagram said", story.said === null ? [] : [story.said]],
    ["What happens next", story.next],
    ["What you can do", story.advice],
  ] as const;
  const lines = [`${plainText(who)}, account ${plainText(record.accountId)}: ${record.status.replaceAll("_", " ")}`];
  for (const [heading, sentences] of parts) {
    if (sentences.length === 0) continue;
    lines.push(heading);
    for (const sentence of sentences)
      lines.push(...wrap(`  ${plainText(sentence)}`, Math.min(columns, columnsMax), "  "));
  }
  return `${lines.join("\n")}\n`;
}
