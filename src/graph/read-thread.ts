import type { ParticipantId } from "../domain/ids.ts";
import { usernameLengthMax } from "../domain/profile.ts";
import { cleanText } from "../lib/clean-text.ts";
import { buildFailure, classifyError, type Refusal, readGraphError } from "./classify-error.ts";
import type { GraphReply } from "./fetch-reply.ts";
import { isRecord, readIdText } from "./parse-json.ts";

/** Whose name the inbox tells. `unknown`: it has no thread with the person, or their name stands in none. */
export type UsernameAnswer =
  | { readonly kind: "named"; readonly username: string }
  | { readonly kind: "unknown" }
  | Refusal;

function listOf(value: unknown): readonly unknown[] {
  return isRecord(value) && Array.isArray(value.data) ? value.data : [];
}

/**
 * Reads the answer to `buildThreadRequest()` (meta-platform.md §7.1): the username beside the asked id among a thread's
 * participants, and nobody else's. An empty list is an answer: Meta filters threads silently (§7.2).
 */
export function processThreadReply(id: ParticipantId, reply: GraphReply): UsernameAnswer {
  if (reply.kind === "none") return buildFailure(reply.reason, reply.httpStatus);
  const { httpStatus, body, usage } = reply;
  const error = readGraphError(httpStatus, body);
  if (error !== null) return classifyError(error, usage?.regainMs ?? null);
  if (httpStatus >= 500) return buildFailure("server_error", httpStatus);
  if (httpStatus < 200 || httpStatus >= 300 || !isRecord(body) || !Array.isArray(body.data))
    return buildFailure("bad_answer", httpStatus);
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
