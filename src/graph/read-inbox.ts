import { usernameLengthMax } from "../domain/profile.ts";
import {
  type Thread,
  type ThreadMessage,
  type ThreadPage,
  type ThreadPerson,
  threadIdLengthMax,
} from "../domain/thread.ts";
import { cleanText } from "../lib/clean-text.ts";
import { parseTimeMs } from "../lib/parse-time.ts";
import { buildFailure, type Refusal } from "./classify-error.ts";
import type { GraphReply } from "./fetch-reply.ts";
import { openReply } from "./open-reply.ts";
import { isRecord, listOf, readIdText } from "./parse-json.ts";
import type { Usage } from "./usage.ts";

/** What one question to the inbox brought, and the usage headers that came with it. */
export type InboxReply<Answer> = { readonly answer: Answer; readonly usage: Usage | null };

export type ThreadsAnswer = ({ readonly kind: "listed" } & ThreadPage) | Refusal;
export type ThreadMessagesAnswer = { readonly kind: "told"; readonly messages: readonly ThreadMessage[] } | Refusal;

/**
 * Reads the answer to `buildThreadListRequest()` (meta-platform.md §7.1). A thread without an id is left out, members that
 * are missing, null or of another type read as absent. The next page is named by its cursor alone: `paging.next` holds
 * the token (§6.4), and only says that there is one.
 */
export function processThreadsReply(reply: GraphReply): ThreadsAnswer {
  const answer = openReply(reply);
  if (answer.kind !== "answered") return answer;
  const { body } = answer;
  if (!isRecord(body) || !Array.isArray(body.data)) return buildFailure("bad_answer", reply.httpStatus);
  const paging = isRecord(body.paging) ? body.paging : {};
  const threads = body.data.map(readThread).filter((thread) => thread !== null);
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
  const answer = openReply(reply);
  if (answer.kind !== "answered") return answer;
  const { body } = answer;
  if (!isRecord(body) || readIdText(body.id) === null) return buildFailure("bad_answer", reply.httpStatus);
  const { messages } = body;
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

function readThread(value: unknown): Thread | null {
  const id = isRecord(value) ? readIdText(value.id) : null;
  if (!isRecord(value) || id === null || id === "" || id.length > threadIdLengthMax) return null;
  const people = listOf(value.participants)
    .map(readPerson)
    .filter((person) => person !== null);
  return { id, updatedAtMs: parseTimeMs(value.updated_time), people };
}

function readPerson(value: unknown): ThreadPerson | null {
  const id = isRecord(value) ? readIdText(value.id) : null;
  if (!isRecord(value) || id === null) return null;
  return { id, username: cleanText(value.username, usernameLengthMax) };
}

function readMessage(value: unknown): ThreadMessage | null {
  if (!isRecord(value)) return null;
  const id = readIdText(value.id);
  const createdAtMs = parseTimeMs(value.created_time);
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

/** The cursor inside the link to the next page, and nothing else of it. */
function readAfter(next: string): string | null {
  return URL.canParse(next) ? new URL(next).searchParams.get("after") : null;
}
