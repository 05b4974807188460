import type { ConversationId } from "../domain/ids.ts";
import type { MessageCorrection } from "../repository/replay-messages.ts";

/** Touched conversations that a run keeps in mind: some 10 MB. Beyond that it compares all of them instead. */
export const touchedMax = 100_000;
/** Messages that a dry run supposes corrected: some 10 MB. Beyond that it compares no conversations. */
export const supposedMax = 20_000;

/** The conversations that events were about. */
export function createTouched(max = touchedMax) {
  const ids = new Set<ConversationId>();
  let overflowed = false;
  return {
    add(id: string): void {
      if (overflowed) return;
      ids.add(id as ConversationId); // messages.conversation_id, which conversationIdOf() has made
      overflowed = ids.size > max;
      if (overflowed) ids.clear();
    },
    overflowed: () => overflowed,
    list: () => [...ids],
  };
}

/** The messages that a dry run would have written: conversations are compared as if they stood so. */
export function createSupposed(max = supposedMax) {
  const messages = new Map<string, MessageCorrection[]>();
  let count = 0;
  return {
    add(message: MessageCorrection): void {
      count += 1;
      if (count > max) {
        messages.clear();
        return;
      }
      for (const id of new Set([message.conversation_id, message.wasIn ?? message.conversation_id]))
        if (messages.get(id)?.push(message) === undefined) messages.set(id, [message]);
    },
    overflowed: () => count > max,
    conversations: () => [...messages.keys()] as ConversationId[], // as above
    /** Those that stand, or would stand, in one of `ids`; each once. */
    listOf: (ids: readonly ConversationId[]) =>
      [...new Set(ids.flatMap((id) => messages.get(id) ?? []))].map(
        ({ account_id, mid, conversation_id, direction, has_content, sent_at }) => ({
          account_id,
          mid,
          conversation_id,
          direction,
          has_content,
          sent_at,
        }),
      ),
  };
}
