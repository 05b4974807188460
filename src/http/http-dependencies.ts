import type { AccountHealth } from "../domain/account-health.ts";
import type { Conversation, ConversationCursor, ConversationStatus, Message } from "../domain/conversation.ts";
import type { ConversationId } from "../domain/ids.ts";
import type { ProfileStatus } from "../domain/profile.ts";
import type { Clock } from "../lib/clock.ts";
import type { Log } from "../lib/log.ts";
import type { EnrichmentAnswer, Explained } from "../usecases/explain.ts";

/** What the routes call. The composition root hands it in; a test hands in a plain object. */
export type HttpDependencies = {
  /** The handshake's answer: the challenge, or null where it must be refused. */
  answerHandshake: (query: URLSearchParams) => string | null;
  /** Verifies, parses and stores. The headers are the request's own: read from them at once, and keep none. */
  receive: (body: Uint8Array, headers: Headers) => Promise<"kept" | "unsigned" | "unavailable">;
  /** Whether every delivery would be refused now: asked before a body is read. */
  isFull: () => boolean;
  /** Told of each delivery that was refused for the bytes of others that were still coming in. */
  onShed: () => void;
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
  /** Arms a lookup for a conversation's person where one can be made; null: no such conversation. */
  requestEnrichment: (id: ConversationId) => Promise<EnrichmentAnswer | null>;
  /** Why a conversation's profile looks as it does; null: no such conversation. */
  explain: (id: ConversationId) => Promise<Explained | null>;
  /** Every account and how it stands. */
  checkAccounts: () => Promise<readonly AccountHealth[]>;
  health: () => Promise<{ ready: boolean; checks: readonly HealthCheck[] }>;
  /** The figures in Prometheus' text format. */
  metrics: () => Promise<string>;
  version: string;
};

/** One part that the daemon needs, and how it stands. */
export type HealthCheck = {
  readonly name: string;
  readonly state: "ok" | "degraded" | "failed";
  readonly detail: string;
  /** The numbers behind the sentence, for programs; units stand in their names. */
  readonly values?: Readonly<Record<string, number>>;
};

export type HttpOptions = {
  /** Bearer keys of the API. None: the API answers on the loopback only. */
  apiKeys: readonly string[];
  /** Largest webhook body in bytes. */
  webhookBodyMax: number;
  log: Log;
  clock: Pick<Clock, "after" | "monotonicMs" | "nowMs">;
  /** Longest time that a body may take to arrive, in ms: `bodyMsMax` where a test wants no other. */
  bodyMs?: number;
};
