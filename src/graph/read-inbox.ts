import { usernameLengthMax } from "../domain/profile.ts";
import {
  type Thread,
  type ThreadMessage,
  type ThreadPage,
  type ThreadPerson,
  threadIdLengthMax,
} from "../domain/thread.ts";
import { cleanText } from "../lib/clean-text.ts";
import { buildFailure, classifyError, type Refusal, readGraphError } from "./classify-error.ts";
import type { GraphReply } from "./fetch-reply.ts";
import { isRecord, type OutsideRecord, readIdText } from "./parse-json.ts";
import type { Usage } from "./usage.ts";

/** What one question to the inbox brought, and the usage headers that came with it. */
export type InboxReply<Answer> = { readonly answer: Answer; readonly usage: Usage | null };

export type ThreadsAnswer = ({ readonly kind: "listed" } & ThreadPage) | Refusal;
export type ThreadMessagesAnswer = { readonly kind: "told"; readonly messages: readonly ThreadMessage[] } | Refusal;

/** Times below this are seconds: in milliseconds it would be March 1973. */
const secondsBelow = 1e11;

/**
 * Reads the answer to `buildThreadListRequest()` (meta-platform.md §7.1). A thread without an id is left out, members that
 * are missing, null or of another type read as absent. The next page is named by its cursor alone: `paging.next` holds
 * the token (§6.4), and only says that there is one.
 */
export function processThreadsReply(reply: GraphReply): ThreadsAnswer {
  const body = readBody(reply);
  if ("kind" in body) return body;
  if (!Array.isArray(body.answer.data)) return buildFailure("bad_answer", reply.httpStatus);
  const paging = isRecord(body.answer.paging) ? body.answer.paging : {};
  const threads = body.answer.data.map(readThread).filter((thread) => thread !== null);
  if (typeof paging.next !== "string") return { kind: "listed", threads, after: null };
  const after = isRecord(paging.cursors) ? readIdText(paging.cursors.after) : readAfter(paging.next);
  // A list that goes on without saying where cannot be read on, and must not pass for one that has ended.
  if (after === null || after === "" || after.length > threadIdLengthMax)
    return buildFailure("bad_answer", reply.httpStatus);
  return { kind: "listed", threads, after };
}

/**
 * Reads the answer to `buildThreadMessagesRequest()`. Messages that Instagram tells nothing of but their id are left out: they
 * are older than the latest 20, or deleted (§7.2).
 */
export function processThreadMessagesReply(reply: GraphReply): ThreadMessagesAnswer {
  const body = readBody(reply);
  if ("kind" in body) return body;
  const { id, messages } = body.answer;
  if (readIdText(id) === null) return buildFailure("bad_answer", reply.httpStatus);
  // A thread without messages has no such member at all.
  if (messages !== undefined && messages !== null && !(isRecord(messages) && Array.isArray(messages.data)))
    return buildFailure("bad_answer", reply.httpStatus);
  return {
    kind: "told",
    messages: listOf(messages)
      .map(readMessage)
      .filter((message) => message !== null),
  };
}

function readBody(reply: GraphReply): Refusal | { readonly answer: OutsideRecord } {
  if (reply.kind === "none") return buildFailure(reply.reason, reply.httpStatus);
  const { httpStatus, body, usage } = reply;
  const error = readGraphError(httpStatus, body);
  if (error !== null) return classifyError(error, usage?.regainMs ?? null);
  if (httpStatus >= 500) return buildFailure("server_error", httpStatus);
  if (httpStatus < 200 || httpStatus >= 300 || !isRecord(body)) return buildFailure("bad_answer", httpStatus);
  return { answer: body };
}

function listOf(value: unknown): readonly unknown[] {
  return isRecord(value) && Array.isArray(value.data) ? value.data : [];
}

function readThread(value: unknown): Thread | null {
  const id = isRecord(value) ? readIdText(value.id) : null;
  if (!isRecord(value) || id === null || id === "" || id.length > threadIdLengthMax) return null;
  const people = listOf(value.participants)
    .map(readPerson)
    .filter((person) => person !== null);
  return { id, updatedAtMs: readTimeMs(value.updated_time), people };
}

function readPerson(value: unknown): ThreadPerson | null {
  const id = isRecord(value) ? readIdText(value.id) : null;
  if (!isRecord(value) || id === null) return null;
  return { id, username: cleanText(value.username, usernameLengthMax) };
}

function readMessage(value: unknown): ThreadMessage | null {
  if (!isRecord(value)) return null;
  const id = readIdText(value.id);
  const createdAtMs = readTimeMs(value.created_time);
  if (id === null || id === "" || createdAtMs === null || !isRecord(value.from)) return null;
  const attachments = listOf(value.attachments);
  return {
    id,
    createdAtMs,
    fromId: readIdText(value.from.id),
    fromUsername: cleanText(value.from.username, usernameLengthMax),
    // Without words the field comes as "": a message that is only a picture.
    text: typeof value.message === "string" && value.message !== "" ? value.message : null,
    attachments: attachments.length === 0 ? null : JSON.stringify(attachments),
    replyToId: isRecord(value.reply_to) ? readIdText(value.reply_to.mid) : null,
    unsupported: value.is_unsupported === true,
  };
}

/** `2026-04-05T05:27:08+0000`, or unix time in some samples (§7.1); null where it is neither. */
function readTimeMs(value: unknown): number | null {
  const number = typeof value === "string" && /^\d{1,16}$/.test(value) ? Number(value) : value;
  const ms =
    typeof number === "number"
      ? number * (number < secondsBelow ? 1_000 : 1)
      : typeof value === "string"
        ? Date.parse(value)
        : Number.NaN;
  return Number.isFinite(ms) && ms > 0 ? Math.round(ms) : null;
}

/** The cursor inside the link to the next page, and nothing else of it. */
function readAfter(next: string): string | null {
  return URL.canParse(next) ? new URL(next).searchParams.get("after") : null;
}
