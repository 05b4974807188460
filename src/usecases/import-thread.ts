import type { AccountAccess } from "../domain/account.ts";
import type { ParticipantId } from "../domain/ids.ts";
import { type Thread, type ThreadMessage, threadMessagesMax } from "../domain/thread.ts";
import type { Refusal } from "../graph/classify-error.ts";
import type { GraphClient } from "../graph/graph-client.ts";
import type { Clock } from "../lib/clock.ts";
import type { Log } from "../lib/log.ts";
import type { ImportedMessage, InboxRepository } from "../repository/inbox.ts";
import { readMid, readText, readTimeMs } from "../webhook/read-fields.ts";
import { type AskInboxDependencies, askInbox, type InboxIo } from "./ask-inbox.ts";

export type ImportDependencies = AskInboxDependencies & {
  graph: Pick<GraphClient, "fetchThreadMessages">;
  inbox: Pick<InboxRepository, "importConversation">;
  clock: Pick<Clock, "nowMs">;
  log: Pick<Log, "warn" | "debug">;
};

/** `known`: a webhook was there first. `gap`: the thread could not be read this time and was not created. */
export type ImportEnd =
  | { readonly kind: "created" | "known" | "gap" | "stopped" }
  | { readonly kind: "blocked"; readonly answer: Extract<Refusal, { kind: "blocked" }> };

/** How many messages are asked for where more are "too much data". */
const messageSteps = [threadMessagesMax, 10, 3, 1];

/**
 * Creates the conversation of one listed thread with its latest messages, as many as Instagram tells the details of. A
 * thread that Instagram will not show is created from the list alone; one that fails is left to a later run.
 */
export async function importThread(
  { graph, inbox, budget, circuit, clock, log }: ImportDependencies,
  about: {
    readonly access: AccountAccess;
    readonly participantId: ParticipantId;
    readonly username: string | null;
    readonly thread: Thread;
  },
  io: InboxIo,
): Promise<ImportEnd> {
  const { access, participantId, username, thread } = about;
  const create = async (messages: readonly ImportedMessage[], lastMessageAtMs: number): Promise<ImportEnd> => {
    const inbound = messages.filter(({ direction }) => direction === "inbound").map(({ sentAtMs }) => sentAtMs);
    const lastInboundAtMs = inbound.length === 0 ? null : Math.max(...inbound);
    const conversation = { accountId: access.id, participantId, username, lastMessageAtMs, lastInboundAtMs };
    const created = await inbox.importConversation({ ...conversation, messages });
    log.debug(`Conversation with participant ${participantId} imported`, context, {
      ...{ messages: messages.length, created },
    });
    return { kind: created ? "created" : "known" };
  };
  const leaveOut = (reason: string): ImportEnd => {
    log.warn(`Conversation with participant ${participantId} not imported: its messages cannot be read`, context, {
      reason,
    });
    return { kind: "gap" };
  };

  for (const [step, limit] of messageSteps.entries()) {
    const answer = await askInbox(
      { budget, circuit, clock },
      {
        ...{ access, about: thread.id, canShrink: step < messageSteps.length - 1 },
        send: (signal) => graph.fetchThreadMessages(access, { threadId: thread.id, limit }, signal),
      },
      io,
    );
    const updatedAtMs = readTimeMs(thread.updatedAtMs, clock.nowMs());
    switch (answer.kind) {
      case "too_much":
        continue;
      case "stopped":
        return { kind: "stopped" };
      case "told": {
        const messages = readMessages(answer.messages, about, clock.nowMs());
        const lastMessageAtMs = messages.length === 0 ? updatedAtMs : Math.max(...messages.map((one) => one.sentAtMs));
        return lastMessageAtMs === null ? leaveOut("no_time") : create(messages, lastMessageAtMs);
      }
      case "blocked":
        // One thread's refusal for lack of a permission says nothing of the account; only many would.
        return answer.reason === "permission_missing" ? leaveOut(answer.reason) : { kind: "blocked", answer };
      case "absent":
      case "failed": {
        const isFinal = answer.kind === "absent" || answer.reason === "missing_or_forbidden";
        return isFinal && updatedAtMs !== null ? create([], updatedAtMs) : leaveOut(answer.reason);
      }
    }
  }
  return leaveOut("too_much");
}

const context = "ImportThread";

/** Messages as webhooks would have brought them: the same ids, text that can be kept, each once. */
function readMessages(
  messages: readonly ThreadMessage[],
  { participantId, username }: { readonly participantId: ParticipantId; readonly username: string | null },
  nowMs: number,
): ImportedMessage[] {
  const byMid = new Map<string, ImportedMessage>();
  for (const message of messages.slice(0, threadMessagesMax)) {
    const mid = readMid(message.id);
    const sentAtMs = readTimeMs(message.createdAtMs, nowMs);
    if (mid === null || sentAtMs === null) continue;
    const { fromId, fromUsername } = message;
    const isPerson = fromId === null ? username !== null && fromUsername === username : fromId === participantId;
    byMid.set(mid, {
      ...{ mid, sentAtMs, unsupported: message.unsupported, attachments: message.attachments },
      direction: isPerson ? "inbound" : "outgoing",
      text: readText(message.text),
      replyToMid: readMid(message.replyToId),
    });
  }
  return [...byMid.values()];
}
