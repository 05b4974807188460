/**
 * A thread and its messages (meta-platform.md §7.1, §7.2): `GET /{conversation-id}?fields=messages{…}` and `GET
 * /{message-id}`. Details only for the 20 most recent messages; older ones are listed and read as deleted.
 */
import { hashText } from "./chance.ts";
import type { DeliveredMessage } from "./delivered-messages.ts";
import { type GraphField, parseFields } from "./graph-fields.ts";
import { createReply, type GraphReply, requestErrors, unknownFieldError } from "./graph-reply.ts";
import { tooMuchAbove, twistUsername } from "./inbox-twist.ts";
import type { AccountState, Platform } from "./platform.ts";
import { phrases, replies } from "./wording.ts";
import type { SandboxPerson } from "./world.ts";

/** "Message details only for the 20 most recent messages of a thread." */
export const messagesWithDetailsMax = 20;
const messagesLimitDefault = 25;
const messagesLimitMax = 100;
const messageCountMin = 2;
const messageCountSpread = 30;
const messageSpacingMs = 95_000;
const conversationPrefix = "aWdfZAG06";
const messagePrefix = "aWdfZAG1g";
const conversationFields: ReadonlySet<string> = new Set(["id", "updated_time", "participants", "messages", "is_owner"]);
const messageFields: ReadonlySet<string> = new Set([
  "id",
  "created_time",
  "from",
  "to",
  "message",
  "attachments",
  "is_unsupported",
  "reply_to",
]);

const threadErrors = {
  fails: { status: 500, code: 2, isTransient: true, message: "An unexpected error has occurred" },
  permission: { status: 403, code: 10, message: "Application does not have permission for this action" },
} as const;

/** The opaque id of the thread of an account with a person. */
export function createConversationId(accountIndex: number, personId: string): string {
  return conversationPrefix + Buffer.from(`${accountIndex}:${personId}`).toString("base64url");
}

function createMessageId(accountIndex: number, personId: string, number: number): string {
  return messagePrefix + Buffer.from(`${accountIndex}:${personId}:${number}`).toString("base64url");
}

/** Meta writes `+0000` without a colon. */
export function writeTime(atMs: number): string {
  return `${new Date(atMs).toISOString().slice(0, 19)}+0000`;
}

/** Whether an id has the form of a thread's or a message's; the digits of people and accounts never have. */
export function isThreadId(id: string): boolean {
  return id.startsWith(conversationPrefix) || id.startsWith(messagePrefix);
}

/** Answers a call of a thread or a message, of an account that is allowed to call. */
export function answerThread(platform: Platform, state: AccountState, id: string, params: URLSearchParams): GraphReply {
  const host = state.account.login;
  const isMessage = id.startsWith(messagePrefix);
  const [account, personId = "", numberText = ""] = Buffer.from(id.slice(conversationPrefix.length), "base64url")
    .toString()
    .split(":");
  const person = account === String(state.index) ? platform.findPerson(state, personId) : null;
  if (person === null) return platform.writeError(requestErrors.unsupported, host);
  const fields = parseFields(params.get("fields") || (isMessage ? "id,created_time" : "id,updated_time"));
  if (fields === null) return platform.writeError(requestErrors.syntax, host);
  const allowed = isMessage ? messageFields : conversationFields;
  const nested = isMessage ? [] : fields.filter((field) => field.name === "messages").flatMap((field) => field.fields);
  const unknown =
    fields.find((field) => !allowed.has(field.name)) ?? nested.find((field) => !messageFields.has(field.name));
  if (unknown)
    return platform.writeError(unknownFieldError(unknown.name, isMessage ? "Message" : "UnifiedThread"), host);

  const twist = platform.twistOf(person.id);
  if (twist === "missing") return platform.writeError(requestErrors.unsupported, host);
  if (twist === "fails") return platform.writeError(threadErrors.fails, host);
  if (twist === "permission") return platform.writeError(threadErrors.permission, host);
  const thread = openThread(platform, state, person);
  if (isMessage) {
    const number = Number(numberText);
    if (!(number >= 0 && number < thread.count)) return platform.writeError(requestErrors.unsupported, host);
    if (number < thread.count - messagesWithDetailsMax) {
      return platform.writeError({ status: 400, code: 9000001, message: "The message has been deleted" }, host);
    }
    return createReply(thread.writeMessage(number, fields));
  }
  const conversation: Record<string, unknown> = { id };
  for (const field of fields) {
    if (field.name === "updated_time") conversation.updated_time = writeTime(platform.lastWroteMs(state, person.id));
    if (field.name === "is_owner") conversation.is_owner = true;
    if (field.name === "participants") conversation.participants = { data: [thread.business, thread.customer] };
    if (field.name === "messages") {
      const page = writeMessages(thread, field);
      const asked = Number(field.arguments.get("limit") ?? messagesLimitDefault);
      if (twist === "too_much" && asked > tooMuchAbove) return platform.writeError(requestErrors.tooMuchData, host);
      if (page === null) return platform.writeError(requestErrors.parameter, host);
      conversation.messages = page;
    }
  }
  return createReply(conversation);
}

type Thread = ReturnType<typeof openThread>;

function openThread(platform: Platform, state: AccountState, person: SandboxPerson) {
  const { account } = state;
  const traits = hashText(platform.world.seed, `thread ${person.id}`);
  const delivered = state.delivered.of(person.id);
  const historyCount = messageCountMin + (traits % messageCountSpread);
  const endMs = platform.historyEndMs(state, person.id);
  const twist = platform.twistOf(person.id);
  const ownId = twist === "own_app_scoped" ? account.appScopedId : account.instagramId;
  const business = { username: account.username, id: ownId };
  const customer = { username: twistUsername(person.username, twist), id: person.id };
  const readHistory = (number: number): Record<string, unknown> => {
    const chance = hashText(traits, String(number));
    const inbound = number === historyCount - 1 || chance % 3 !== 0; // The last word is the customer's.
    const texts = inbound ? phrases : replies;
    return {
      id: createMessageId(state.index, person.id, number),
      created_time: writeTime(endMs - (historyCount - 1 - number) * messageSpacingMs),
      from: inbound ? customer : business,
      to: { data: [inbound ? business : customer] },
      message: texts[chance % texts.length],
    };
  };
  const writeMessage = (number: number, fields: readonly GraphField[]): Record<string, unknown> => {
    const late = delivered[number - historyCount];
    const all = late === undefined ? readHistory(number) : writeDelivered(late, business, customer);
    const message: Record<string, unknown> = { id: all.id };
    for (const { name } of fields) if (name in all) message[name] = all[name];
    return message;
  };
  return { count: historyCount + delivered.length, business, customer, writeMessage };
}

function writeDelivered(one: DeliveredMessage, business: object, customer: object): Record<string, unknown> {
  return {
    id: one.mid,
    created_time: writeTime(one.atMs),
    from: one.isOutgoing ? business : customer,
    to: { data: [one.isOutgoing ? customer : business] },
    message: one.text ?? "",
    ...(one.attachments.length > 0 ? { attachments: { data: one.attachments } } : {}),
    ...(one.isUnsupported ? { is_unsupported: true } : {}),
    ...(one.replyTo === null ? {} : { reply_to: { mid: one.replyTo } }),
  };
}

/** A page of messages, newest first, steered by `messages.limit(n).after(X)`; `null` where those are malformed. */
function writeMessages(thread: Thread, field: GraphField): unknown {
  const limitText = field.arguments.get("limit") ?? String(messagesLimitDefault);
  const after = field.arguments.get("after") ?? String(thread.count);
  if (!/^[1-9][0-9]{0,2}$/.test(limitText) || Number(limitText) > messagesLimitMax || !/^[0-9]{1,4}$/.test(after))
    return null;
  const newest = Math.min(Number(after), thread.count) - 1;
  const oldest = Math.max(0, newest - Number(limitText) + 1);
  const asked = field.fields.length > 0 ? field.fields : (parseFields("id,created_time") ?? []);
  const data: unknown[] = [];
  for (let number = newest; number >= oldest; number -= 1) {
    const hasDetails = number >= thread.count - messagesWithDetailsMax;
    const fields = hasDetails ? asked : asked.filter(({ name }) => name === "id" || name === "created_time");
    data.push(thread.writeMessage(number, fields));
  }
  return data.length === 0 ? { data } : { data, paging: { cursors: { after: String(oldest) } } };
}
