import type { Explained } from "../usecases/explain.ts";
import { isoOrNull } from "./iso-time.ts";

/** A conversation's story as the API and `explain --json` show it. */
export function buildStoryJson({ record, story }: Explained) {
  return {
    conversationId: record.id,
    accountId: record.accountId,
    participantPlatformId: record.participantId,
    participantUsername: record.username,
    participantName: record.name,
    status: record.status,
    reason: record.reason,
    attempts: record.attempts,
    lookedUpAt: isoOrNull(record.checkedAtMs),
    nextAttemptAt: isoOrNull(record.nextAttemptAtMs),
    evidence: record.evidence,
    happened: story.happened,
    said: story.said,
    next: story.next,
    advice: story.advice,
  };
}
