/**
 * What the tables must hold, from the events that were kept: spec §3's rules written a second time, in no way like
 * the product. It imports nothing of src/. Order and repetition cannot matter here: it knows a set of event numbers.
 *
 *   const model = createModel(plan);
 *   model.keep(number);                    // this event was acknowledged, or was found stored
 *   model.messageOf(number)                // the row of the message that event `number` said, or null
 *   model.conversations()                  // the rows that must be there, by `account_person`
 */

import type { EventPlan, PlanEvent } from "./event-plan.ts";
import { createGrowingBits } from "./growing-bits.ts";

export type ModelConversation = {
  readonly accountId: string;
  readonly personId: string;
  unread: number;
  lastMessageAtMs: number;
  lastInboundAtMs: number | null;
};
export type ModelMessage = {
  readonly accountId: string;
  readonly mid: string;
  readonly personId: string;
  readonly direction: "inbound" | "outgoing";
  readonly hasContent: boolean;
  readonly text: string | null;
  readonly attachments: readonly object[] | null;
  readonly sentAtMs: number;
  readonly editNumber: number;
  readonly deletedAtMs: number | null;
};
export type ModelReaction = {
  readonly senderId: string;
  readonly reaction: string | null;
  readonly emoji: string | null;
  readonly reactedAtMs: number;
};
export type ModelRead = { readonly mid: string; readonly readAtMs: number };

export type Model = ReturnType<typeof createModel>;

/** Makes an empty model of `plan`. */
export function createModel(plan: EventPlan) {
  const kept = createGrowingBits();
  const conversations = new Map<string, ModelConversation>();
  const reads = new Map<string, ModelRead>();

  const say = (event: PlanEvent): void => {
    const key = `${event.accountId}_${event.personId}`;
    const row = conversations.get(key) ?? {
      accountId: event.accountId,
      personId: event.personId,
      unread: 0,
      lastMessageAtMs: 0,
      lastInboundAtMs: null,
    };
    row.lastMessageAtMs = Math.max(row.lastMessageAtMs, event.occurredAtMs);
    if (event.fromPerson) {
      row.unread += 1;
      row.lastInboundAtMs = Math.max(row.lastInboundAtMs ?? 0, event.occurredAtMs);
    }
    conversations.set(key, row);
  };

  /** Kept events about the message that event `number` said, without itself. */
  const followersOf = (number: number): PlanEvent[] => {
    const mid = plan.midOf(number);
    return plan
      .listFollowers(number)
      .filter((follower) => kept.has(follower))
      .map(plan.eventAt)
      .filter((event) => event.mid === mid);
  };

  return {
    kept: kept.has,
    /** How many distinct events were kept. */
    size: kept.size,
    /** All of them, in order. */
    numbers: kept.members,
    conversations: () => conversations,
    reads: () => reads,

    /** Event `number` is stored. Once or often, in any order. */
    keep(number: number): void {
      if (!kept.add(number)) return;
      const event = plan.eventAt(number);
      if (event.kind === "message" || event.kind === "postback") say(event);
      if (event.kind === "read") {
        const key = `${event.accountId}_${event.personId}`;
        if (event.occurredAtMs > (reads.get(key)?.readAtMs ?? 0))
          reads.set(key, { mid: event.mid, readAtMs: event.occurredAtMs });
      }
    },

    /** The row of the message that event `number` says; null where no row must be. */
    messageOf(number: number): ModelMessage | null {
      const own = plan.eventAt(number);
      if (own.kind !== "message" && own.kind !== "postback") return null;
      const hasContent = kept.has(number);
      const about = followersOf(number);
      const edits = about.filter((event) => event.kind === "edit");
      const unsends = about.filter((event) => event.kind === "unsend");
      const changes = [...edits, ...unsends];
      if (!hasContent && changes.length === 0) return null;
      const lastEdit = edits.reduce<(typeof edits)[number] | null>(
        (best, edit) => (best === null || edit.editNumber > best.editNumber ? edit : best),
        null,
      );
      const deleted = unsends[0] ?? null;
      const attachments = own.kind === "message" ? own.attachments : null;
      return {
        accountId: own.accountId,
        mid: own.mid,
        personId: own.personId,
        direction: own.fromPerson ? "inbound" : "outgoing",
        hasContent,
        text: deleted !== null ? null : lastEdit !== null ? lastEdit.text : own.text,
        attachments: deleted === null && hasContent ? attachments : null,
        sentAtMs: hasContent ? own.occurredAtMs : Math.min(...changes.map((event) => event.occurredAtMs)),
        editNumber: lastEdit?.editNumber ?? 0,
        deletedAtMs: deleted?.occurredAtMs ?? null,
      };
    },

    /** The reactions that stand at the message that event `number` says: the latest of each sender, a withdrawal too. */
    reactionsOf(number: number): ModelReaction[] {
      const bySender = new Map<string, ModelReaction>();
      for (const event of followersOf(number)) {
        if (event.kind !== "reaction") continue;
        const senderId = event.fromPerson ? event.personId : event.accountId;
        if (event.occurredAtMs < (bySender.get(senderId)?.reactedAtMs ?? 0)) continue;
        const { reaction, emoji, occurredAtMs } = event;
        bySender.set(senderId, { senderId, reaction, emoji, reactedAtMs: occurredAtMs });
      }
      return [...bySender.values()];
    },
  };
}
