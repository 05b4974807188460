import type { ParticipantId } from "../domain/ids.ts";
import type { LookupAnswer } from "../domain/profile.ts";
import { buildFailure, classifyError, type Refusal, readGraphError } from "./classify-error.ts";
import type { GraphReply } from "./fetch-reply.ts";
import { readRefusal } from "./open-reply.ts";
import { isRecord, parseJson, readIdText } from "./parse-json.ts";
import { type ProfileContext, readProfile } from "./read-profile.ts";

/** One person's answer, and whether their picture's address was dropped. */
export type Answered = { readonly answer: LookupAnswer; readonly pictureRefused: boolean };

export type BatchAnswers = {
  readonly answered: ReadonlyMap<ParticipantId, Answered>;
  /** Items that Meta did not finish in time (`null`, §4.2): to be asked again. */
  readonly unfinished: readonly ParticipantId[];
};

type Part = { readonly httpStatus: number; readonly body: unknown; readonly resumeInMs: number | null };

function refused(answer: Refusal): Answered {
  return { answer, pictureRefused: false };
}

function processPart(context: ProfileContext, id: ParticipantId, part: Part): Answered {
  const refusal = readRefusal(part.httpStatus, part.body, part.resumeInMs);
  if (refusal !== null) return refused(refusal);
  const reading = readProfile(context, id, part.body);
  if (reading.kind === "refused") return refused(buildFailure(reading.reason, part.httpStatus));
  return { answer: { kind: "found", profile: reading.profile }, pictureRefused: reading.pictureRefused };
}

/** Reads the answer to `buildProfileRequest()` (meta-platform.md §3.1, §3.4). */
export function processProfileReply(context: ProfileContext, id: ParticipantId, reply: GraphReply): Answered {
  if (reply.kind === "none") return refused(buildFailure(reply.reason, reply.httpStatus));
  return processPart(context, id, { ...reply, resumeInMs: reply.usage?.regainMs ?? null });
}

/**
 * What an error object in the place of the whole batch means (§4.2). It is about the request, so it is never one person's
 * answer; and a plain 100 there is a missing or wrong appsecret_proof (§6.4), since the rest of the request is the same for everyone.
 */
function processOuterError(reply: Extract<GraphReply, { kind: "json" }>): Refusal {
  const error = readGraphError(reply.httpStatus, reply.body);
  if (error === null) {
    return buildFailure(reply.httpStatus >= 500 ? "server_error" : "bad_answer", reply.httpStatus);
  }
  const answer = classifyError(error, reply.usage?.regainMs ?? null);
  // What is said of one person cannot be meant for all that were asked about.
  const aboutOne = answer.kind === "absent" || (answer.kind === "failed" && answer.reason === "missing_or_forbidden");
  if (aboutOne) return { kind: "failed", reason: "unknown_code", evidence: answer.evidence };
  if (answer.kind === "failed" && error.code === 100 && answer.reason === "bad_request") {
    return { kind: "blocked", reason: "proof_refused", evidence: answer.evidence };
  }
  return answer;
}

/** An item of the reply: its own status, and its body parsed from the text it comes as. null: not an item. */
function readItem(item: unknown, resumeInMs: number | null): Part | null {
  if (!isRecord(item) || typeof item.code !== "number") return null;
  const body = typeof item.body === "string" ? parseJson(item.body) : item.body;
  return { httpStatus: item.code, body, resumeInMs };
}

function readBodyId(part: Part | null): string | null {
  return part !== null && isRecord(part.body) ? readIdText(part.body.id) : null;
}

/**
 * Reads the answer to `buildBatchRequest()` (meta-platform.md §4.2). Items belong to ids by position, and only where there are as many as
 * were asked; the id inside a body must be the asked one all the same. Where the count is wrong only a body that names its
 * id is taken; where items stand in another order their errors belong to nobody. What is left over is `not_answered`.
 */
export function processBatchReply(
  context: ProfileContext,
  ids: readonly ParticipantId[],
  reply: GraphReply,
): BatchAnswers {
  if (reply.kind === "none" || !Array.isArray(reply.body)) {
    const answer = reply.kind === "none" ? buildFailure(reply.reason, reply.httpStatus) : processOuterError(reply);
    return { answered: new Map(ids.map((id) => [id, refused(answer)])), unfinished: [] };
  }

  const items: readonly unknown[] = reply.body;
  const parts = items.map((item) => readItem(item, reply.usage?.regainMs ?? null));
  const answered = new Map<ParticipantId, Answered>();
  const unfinished: ParticipantId[] = [];
  const leaveOut = (id: ParticipantId) => answered.set(id, refused(buildFailure("not_answered", reply.httpStatus)));

  if (items.length !== ids.length) {
    const named = new Map(parts.map((part) => [readBodyId(part), part]));
    for (const id of ids) {
      const part = named.get(id) ?? null;
      if (part === null) leaveOut(id);
      else answered.set(id, processPart(context, id, part));
    }
    return { answered, unfinished };
  }

  const asked = new Set<string>(ids);
  const shuffled = parts.some((part, index) => {
    const bodyId = readBodyId(part);
    return bodyId !== null && bodyId !== ids[index] && asked.has(bodyId);
  });
  for (const [index, id] of ids.entries()) {
    const part = parts[index] ?? null;
    if (items[index] === null) unfinished.push(id);
    else if (part === null) answered.set(id, refused(buildFailure("bad_answer", reply.httpStatus)));
    else if (shuffled && readBodyId(part) === null) leaveOut(id);
    else answered.set(id, processPart(context, id, part));
  }
  return { answered, unfinished };
}
