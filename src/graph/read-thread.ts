import type { ParticipantId } from "../domain/ids.ts";
import { usernameLengthMax } from "../domain/profile.ts";
import { cleanText } from "../lib/clean-text.ts";
import { buildFailure, type Refusal } from "./classify-error.ts";
import type { GraphReply } from "./fetch-reply.ts";
import { openReply } from "./open-reply.ts";
import { isRecord, listOf, readIdText } from "./parse-json.ts";

/** Whose name the inbox tells. `unknown`: it has no thread with the person, or their name stands in none. */
export type UsernameAnswer =
  | { readonly kind: "named"; readonly username: string }
  | { readonly kind: "unknown" }
  | Refusal;

/**
 * Reads the answer to `buildThreadRequest()` (meta-platform.md §7.1): the username beside the asked id among a thread's
 * participants, and nobody else's. An empty list is an answer: Meta filters threads silently (§7.2).
 */
export function processThreadReply(id: ParticipantId, reply: GraphReply): UsernameAnswer {
  const answer = openReply(reply);
  if (answer.kind !== "answered") return answer;
  const { body } = answer;
  if (!isRecord(body) || !Array.isArray(body.data)) return buildFailure("bad_answer", reply.httpStatus);
  for (const thread of body.data) {
    if (!isRecord(thread)) continue;
    for (const side of listOf(thread.participants)) {
      if (!isRecord(side) || readIdText(side.id) !== id) continue;
      const username = cleanText(side.username, usernameLengthMax);
      if (username !== null) return { kind: "named", username };
    }
  }
  return { kind: "unknown" };
}
