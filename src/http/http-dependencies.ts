import type { Conversation, ConversationCursor, ConversationStatus, Message } from "../domain/conversation.ts";
import type { ConversationId } from "../domain/ids.ts";
import type { ProfileStatus } from "../domain/profile.ts";
import type { Log } from "../lib/log.ts";

/** What the routes call. The composition root hands it in; a test hands in a plain object. */
export type HttpDependencies = {
  /** The handshake's answer: the challenge, or null where it must be refused. */
  answerHandshake: (query: URLSearchParams) => string | null;
  /** Verifies, parses and stores. */
  receive: (body: Uint8Array, signature: string | null) => Promise<"kept" | "unsigned" | "unavailable">;
  /** Latest first. `limit` is one more than a page shows (so up to 101): the extra row tells whether a page follows. */
  listConversations: (query: {
    accountId: string | null;
    status: ConversationStatus | null;
    profileStatus: ProfileStatus | null;
    before: ConversationCursor | null;
    limit: number;
  }) => Promise<readonly Conversation[]>;
  getConversation: (id: ConversationId) => Promise<Conversation | null>;
  /** Latest first; `limit` as above. Empty for a conversation that is unknown. */
  listMessages: (
    id: ConversationId,
    query: { before: { sentAtMs: number; id: string } | null; limit: number },
  ) => Promise<readonly Message[]>;
  /** Arms a lookup for a conversation's person; null: no such conversation. */
  requestEnrichment: (id: ConversationId) => Promise<"accepted" | null>;
  health: () => Promise<{
    ready: boolean;
    checks: readonly { name: string; state: "ok" | "degraded" | "failed"; detail: string }[];
  }>;
  version: string;
};

export type HttpOptions = {
  /** Bearer keys of the API. None: the API answers on the loopback only. */
  apiKeys: readonly string[];
  /** Largest webhook body in bytes. */
  webhookBodyMax: number;
  log: Log;
};
