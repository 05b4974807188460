import type { Conversation, Message } from "../../src/domain/conversation.ts";
import { type ConversationId, parseConversationId, parseParticipantId } from "../../src/domain/ids.ts";
import { createHttpApp } from "../../src/http/http-app.ts";
import type { HttpDependencies, HttpOptions } from "../../src/http/http-dependencies.ts";
import { openHttpServer } from "../../src/http/http-server.ts";
import { createSystemClock } from "../../src/lib/clock.ts";
import { createLog, type LogFields } from "../../src/lib/log.ts";
import { checkAnswer, type SeenAnswer } from "./contract.ts";

export type LoggedLine = { level: string; message: string; context: string; fields: LogFields };
export type Seen = SeenAnswer & { json: () => Record<string, unknown> };

/** Dependencies of a product that holds nothing; a test replaces what it is about. */
export const emptyDependencies: HttpDependencies = {
  answerHandshake: () => null,
  receive: async () => "kept",
  isFull: () => false,
  onShed: () => {},
  listConversations: async () => [],
  getConversation: async () => null,
  listMessages: async () => [],
  requestEnrichment: async () => null,
  explain: async () => null,
  checkAccounts: async () => [],
  health: async () => ({ ready: true, checks: [] }),
  metrics: async () => "# HELP nothing Nothing.\n",
  version: "1.2.3",
};

/** A real server on a free port. Every answer that `ask` sees is held against /openapi.json. */
export function openTestServer(
  replaced: Partial<HttpDependencies> = {},
  options: Partial<HttpOptions> & { hostname?: string; lastRequestsMs?: number } = {},
) {
  const lines: LoggedLine[] = [];
  const log = createLog("debug", (level, message, context, fields) => lines.push({ level, message, context, fields }));
  const clock = createSystemClock();
  const app = createHttpApp(
    { ...emptyDependencies, ...replaced },
    { apiKeys: [], webhookBodyMax: 4 * 1024 * 1024, log, clock, ...options },
  );
  const server = openHttpServer(app, {
    hostname: options.hostname ?? "127.0.0.1",
    port: 0,
    clock,
    lastRequestsMs: options.lastRequestsMs ?? 2000,
  });
  return {
    ...server,
    app,
    lines,
    ask: async (method: string, path: string, init: RequestInit = {}): Promise<Seen> => {
      const response = await fetch(`${server.url}${path}`, { ...init, method, redirect: "manual" });
      const seen = { status: response.status, headers: response.headers, body: await response.text() };
      checkAnswer(method, path, seen);
      return { ...seen, json: () => JSON.parse(seen.body) };
    },
  };
}

export function conversationIdFor(text: string): ConversationId {
  const parsed = parseConversationId(text);
  if (parsed === null) throw new Error(`${text} is no conversation id`);
  return parsed.conversationId;
}

export const knownId = conversationIdFor("17841400000000001_5551234567890123");

/** A conversation whose person nobody has looked up yet. */
export function makeConversation(changes: Partial<Conversation> = {}): Conversation {
  const participant = parseParticipantId("5551234567890123");
  if (participant === null) throw new Error("unreachable");
  return {
    id: knownId,
    accountId: "shop",
    participantPlatformId: participant,
    participantUsername: null,
    participantName: null,
    participantProfilePic: null,
    lastMessageAtMs: Date.UTC(2025, 9, 31, 22, 30),
    unreadCount: 3,
    status: "active",
    profileStatus: "pending",
    profileReason: null,
    profileFetchedAtMs: null,
    pictureExpiresAtMs: null,
    ...changes,
  };
}

export function makeMessage(changes: Partial<Message> = {}): Message {
  return {
    id: "m_1",
    direction: "inbound",
    text: "Hello",
    attachments: null,
    replyToId: null,
    sentAtMs: Date.UTC(2025, 9, 31, 22, 30),
    editNumber: 0,
    deletedAtMs: null,
    reactions: [],
    ...changes,
  };
}
