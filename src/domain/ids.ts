/** The ids of the product: text everywhere, since Meta's ids run past 2^53 (meta-platform.md §0.4). */
declare const brand: unique symbol;
type Branded<Name extends string> = string & { readonly [brand]: Name };

/** The Instagram id of a professional account, `17841…`: what webhooks carry as `entry.id`. Our internal key of an account. */
export type AccountId = Branded<"AccountId">;
/** The Instagram-scoped id of the person who writes, valid for one account only. */
export type ParticipantId = Branded<"ParticipantId">;
/** One account's thread with one person. */
export type ConversationId = Branded<"ConversationId">;

/** Who a lookup is about: ids of people are scoped to the account they wrote to. */
export type PersonKey = { readonly accountId: AccountId; readonly participantId: ParticipantId };

/** Longest id that is taken in. Meta's are 15 to 18 digits; 64 leaves room for a new form and keeps keys indexable. */
export const idLengthMax = 64;
const idPattern = new RegExp(`^[A-Za-z0-9.:-]{1,${idLengthMax}}$`);

function isId(text: unknown): text is string {
  return typeof text === "string" && idPattern.test(text);
}

/** Reads an account's Instagram id; null where the text is none. */
export function parseAccountId(text: unknown): AccountId | null {
  return isId(text) ? (text as AccountId) : null;
}

/** Reads a person's id; null where the text is none. */
export function parseParticipantId(text: unknown): ParticipantId | null {
  return isId(text) ? (text as ParticipantId) : null;
}

/**
 * The id of the conversation of `accountId` with `participantId`: made from both, so that a message can be filed
 * without asking the database first and two posts that race make one conversation.
 */
export function conversationIdOf(accountId: AccountId, participantId: ParticipantId): ConversationId {
  return `${accountId}_${participantId}` as ConversationId;
}

/** Reads a conversation's id back; null where the text is none. The underscore stands in no id, so the cut is certain. */
export function parseConversationId(text: unknown): (PersonKey & { readonly conversationId: ConversationId }) | null {
  if (typeof text !== "string") return null;
  const [account, participant, ...rest] = text.split("_");
  const accountId = parseAccountId(account);
  const participantId = parseParticipantId(participant);
  if (accountId === null || participantId === null || rest.length > 0) return null;
  return { accountId, participantId, conversationId: conversationIdOf(accountId, participantId) };
}
