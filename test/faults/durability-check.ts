/**
 * Whether each 200 came after its bytes were on disk for good, from the system calls of the daemon and of Postgres:
 * a post that came in on a socket; a write that has its message id, into the log of Postgres or a spool file; a flush of
 * that file, begun after the write and ended well; and only then the 200 on the same socket. Pure.
 */
import type { Call } from "./system-calls.ts";

export type DurabilityReport = {
  /** 200s that were looked at. */
  readonly answers: number;
  /** Sentences; empty: every 200 came after its flush. */
  readonly broken: readonly string[];
};

const writes = new Set(["write", "writev", "pwrite64", "pwritev"]);
const flushes = new Set(["fsync", "fdatasync"]);
const sends = new Set(["sendto", "sendmsg", "write", "writev"]);
const brokenMax = 10; // Sentences: the first ones tell what the others would.

/** A 200 that leaves on a socket. */
export const isAnswer = ({ name, text }: Call): boolean => sends.has(name) && text.includes('"HTTP/1.1 200 ');

/**
 * Looks for the post, the write, the flush and the 200 of each message id in `mids`, all of which were acknowledged.
 * `file` tells the files that keep them: of Postgres's log, or of the spool.
 */
export function checkDurability(calls: readonly Call[], mids: readonly string[], file: RegExp): DurabilityReport {
  const posts = calls.filter(({ name, text }) => name === "recvfrom" && text.includes("POST /webhooks/"));
  const answers = calls.filter(isAnswer);
  const kept = calls.filter(({ name, target, ok }) => ok && writes.has(name) && file.test(target));
  const flushed = calls.filter(({ name, target, ok }) => ok && flushes.has(name) && file.test(target));
  const broken: string[] = [];
  let looked = 0;
  for (const mid of mids) {
    const post = posts.find(({ text }) => text.includes(mid));
    const answer = post && answers.find(({ target, beginsAt }) => target === post.target && beginsAt > post.endsAt);
    if (post === undefined || answer === undefined) {
      broken.push(`${mid}: its post or its 200 is not in the trace`);
      continue;
    }
    looked += 1;
    const write = kept.find(({ text, beginsAt }) => beginsAt > post.endsAt && text.includes(mid));
    const flush = write && flushed.find(({ target, beginsAt }) => beginsAt > write.endsAt && target === write.target);
    if (write === undefined) broken.push(`${mid}: no write of it is in the trace`);
    else if (flush === undefined) broken.push(`${mid}: its write was never flushed`);
    else if (flush.endsAt > answer.beginsAt)
      broken.push(`${mid}: the 200 (line ${answer.beginsAt}) came before the flush had ended (line ${flush.endsAt})`);
  }
  const more = broken.length - brokenMax;
  return { answers: looked, broken: more > 0 ? [...broken.slice(0, brokenMax), `and ${more} more`] : broken };
}
