import { conversationStatuses } from "../domain/conversation.ts";
import { SyncError } from "../domain/error.ts";
import { type ConversationId, parseConversationId } from "../domain/ids.ts";
import { profileStatuses } from "../domain/profile.ts";
import { jsonAnswer } from "./answer.ts";
import { buildConversationJson, buildMessageJson } from "./conversation-json.ts";
import { buildCursor, type Place, parseCursor } from "./cursor.ts";
import { problemAnswer } from "./problem.ts";
import { parseChoice, parseLimit, parseQuery, parseText } from "./query.ts";
import type { RouteParams, RoutesOf } from "./route.ts";
import { buildStoryJson } from "./story-json.ts";

type Needs = "listConversations" | "getConversation" | "listMessages" | "requestEnrichment" | "explain";

/** The conversations API (spec §7). Reads the database through what is handed in, and never asks Instagram. */
export const conversationRoutes: RoutesOf<Needs> = (dependencies) => [
  {
    method: "GET",
    path: "/messaging/conversations",
    access: "key",
    answer: async (request) => {
      const query = parseQuery(request.url, ["accountId", "status", "profile", "cursor", "limit"]);
      const limit = parseLimit(query.limit);
      const place = query.cursor === null ? null : parseCursor("conversations", query.cursor);
      const rows = await dependencies.listConversations({
        accountId: parseText("accountId", query.accountId),
        status: parseChoice("status", query.status, conversationStatuses),
        profileStatus: parseChoice("profile", query.profile, profileStatuses),
        before: place === null ? null : { lastMessageAtMs: place.atMs, id: place.id },
        limit: limit + 1,
      });
      return pageAnswer("conversations", rows, limit, buildConversationJson, (row) => ({
        atMs: row.lastMessageAtMs,
        id: row.id,
      }));
    },
  },
  {
    method: "GET",
    path: "/messaging/conversations/:id",
    access: "key",
    answer: async (request, params) => {
      const id = readId(params);
      parseQuery(request.url, []);
      const conversation = await dependencies.getConversation(id);
      return conversation === null ? refuseUnknown() : jsonAnswer(200, buildConversationJson(conversation));
    },
  },
  {
    method: "GET",
    path: "/messaging/conversations/:id/messages",
    access: "key",
    answer: async (request, params) => {
      const id = readId(params);
      const query = parseQuery(request.url, ["cursor", "limit"]);
      const limit = parseLimit(query.limit);
      const list = `messages of ${id}`;
      const place = query.cursor === null ? null : parseCursor(list, query.cursor);
      const before = place === null ? null : { sentAtMs: place.atMs, id: place.id };
      const rows = await dependencies.listMessages(id, { before, limit: limit + 1 });
      // Asked only where the list is empty, so that a page costs one query as a rule.
      if (rows.length === 0 && (await dependencies.getConversation(id)) === null) return refuseUnknown();
      return pageAnswer(list, rows, limit, buildMessageJson, (row) => ({ atMs: row.sentAtMs, id: row.id }));
    },
  },
  {
    method: "POST",
    path: "/messaging/conversations/:id/enrich",
    access: "key",
    answer: async (request, params) => {
      const id = readId(params);
      parseQuery(request.url, []);
      const answer = await dependencies.requestEnrichment(id);
      if (answer === null) return refuseUnknown();
      if (answer.kind === "refused") return problemAnswer("conflict", answer.detail);
      if (answer.kind === "limited")
        return problemAnswer("limited", answer.detail, {
          "Retry-After": String(Math.max(1, Math.ceil(answer.retryAfterMs / 1000))),
        });
      return jsonAnswer(202, { status: answer.kind });
    },
  },
  {
    method: "GET",
    path: "/messaging/conversations/:id/explain",
    access: "key",
    answer: async (request, params) => {
      const id = readId(params);
      parseQuery(request.url, []);
      const explained = await dependencies.explain(id);
      return explained === null ? refuseUnknown() : jsonAnswer(200, buildStoryJson(explained));
    },
  },
];

function readId(params: RouteParams): ConversationId {
  const parsed = parseConversationId(params.id);
  if (parsed === null)
    throw new SyncError("usage_invalid", "Cannot read the conversation's id: it has the form <account>_<participant>");
  return parsed.conversationId;
}

function refuseUnknown(): never {
  throw new SyncError("conversation_unknown", "Cannot show the conversation: there is none with this id");
}

/** A page of at most `limit` of `rows`, which holds one row more where another page follows. */
function pageAnswer<Row>(
  list: string,
  rows: readonly Row[],
  limit: number,
  buildJson: (row: Row) => unknown,
  placeOf: (row: Row) => Place,
): Response {
  const shown = rows.slice(0, limit);
  const last = rows.length > limit ? shown.at(-1) : undefined;
  return jsonAnswer(200, {
    data: shown.map(buildJson),
    nextCursor: last === undefined ? null : buildCursor(list, placeOf(last)),
  });
}
