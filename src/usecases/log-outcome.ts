import type { Lookup, ProfileOutcome } from "../domain/profile.ts";
import type { Log } from "../lib/log.ts";

/** Says what became of one lookup, in the lines that operators grep for (spec §8). `saved`: the row was written. */
export function logOutcome(
  log: Log,
  { conversationId, participantId, accountId }: Lookup,
  outcome: ProfileOutcome,
  saved: boolean,
) {
  if (outcome.kind === "found") {
    if (saved)
      log.log(
        `Successfully enriched conversation ${conversationId} with participant profile data`,
        "ConversationService",
        {
          source: outcome.source,
        },
      );
    return;
  }
  const { reason, evidence } = outcome;
  if (reason === "graph_away") return; // told once, when the circuit opened: it is nobody's own failure
  if (reason === "throttled" && evidence === null) {
    // Our own pace, not a word of Instagram's: with a backlog this comes many times a second.
    log.debug(`Lookup of participant ${participantId} waits for the rate budget`, "InstagramApiService", {
      accountId,
      retryInMs: outcome.retryInMs,
    });
    return;
  }
  log.warn(`Failed to fetch profile for participant ${participantId}: ${reason}`, "InstagramApiService", {
    accountId,
    ...evidence,
    retryInMs: outcome.retryInMs,
  });
  if (reason === "bad_request")
    log.error("Instagram does not know a field that was asked for: this is a bug", "InstagramApiService", {
      ...evidence,
    });
}
