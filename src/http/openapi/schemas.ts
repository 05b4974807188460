import { conversationStatuses } from "../../domain/conversation.ts";
import { absentReasons, blockedReasons, failureReasons, pauseReasons, profileStatuses } from "../../domain/profile.ts";
import { accountSchemas } from "./account-schemas.ts";
import { closed, textOrNull, time, timeOrNull, wholeNumber } from "./closed-schema.ts";
import type { JsonSchema } from "./openapi-document.ts";

export function refTo(schema: keyof typeof schemas): JsonSchema {
  return { $ref: `#/components/schemas/${schema}` };
}

const nextCursor = {
  type: ["string", "null"],
  description: "Hand it back as `cursor` for the next page; null: this was the last.",
};

export const schemas = {
  ProfileStatus: {
    type: "string",
    enum: profileStatuses,
    description: "Where the lookup of the person stands. `no_picture` is complete too: the person has none.",
  },
  Profile: closed("How the name and picture came about, or why there is none.", {
    status: { $ref: "#/components/schemas/ProfileStatus" },
    reason: {
      ...textOrNull,
      description: "Why there is no (full) profile, as a code; null where nothing is amiss.",
      examples: [...absentReasons, ...blockedReasons, ...failureReasons, ...pauseReasons],
    },
    fetchedAt: { ...timeOrNull, description: "When Instagram last described the person." },
    pictureExpiresAt: { ...timeOrNull, description: "When the picture's address stops working." },
  }),
  Conversation: closed("One account's thread with one person.", {
    id: { type: "string" },
    participantUsername: { ...textOrNull, description: "The person's username; null while unknown." },
    participantProfilePic: { ...textOrNull, format: "uri", description: "The picture's address; null while unknown." },
    lastMessageAt: time,
    unreadCount: wholeNumber,
    status: { type: "string", enum: conversationStatuses },
    accountId: { type: "string", description: "The operator's own name of the account, or its Instagram id." },
    participantPlatformId: { type: "string", description: "The person's Instagram-scoped id." },
    participantName: { ...textOrNull, description: "The name the person shows; not checked by Instagram." },
    profile: { $ref: "#/components/schemas/Profile" },
  }),
  Message: closed("One message. An unsent one keeps its place and loses its content.", {
    id: { type: "string" },
    direction: { type: "string", enum: ["inbound", "outgoing"] },
    text: textOrNull,
    attachments: { description: "JSON as Instagram sent it; null where there is none." },
    replyToId: textOrNull,
    sentAt: time,
    editNumber: { ...wholeNumber, description: "How often it was edited." },
    deletedAt: { ...timeOrNull, description: "When it was unsent; null where it stands." },
    reactions: {
      type: "array",
      items: closed("One person's reaction.", {
        from: { type: "string" },
        reaction: { type: "string" },
        emoji: textOrNull,
      }),
    },
  }),
  ConversationPage: closed("A page of conversations, latest first.", {
    data: { type: "array", items: { $ref: "#/components/schemas/Conversation" } },
    nextCursor,
  }),
  MessagePage: closed("A page of messages, latest first.", {
    data: { type: "array", items: { $ref: "#/components/schemas/Message" } },
    nextCursor,
  }),
  ...accountSchemas,
  Accepted: closed("The lookup will be made as soon as Instagram's limits allow.", {
    status: { type: "string", const: "accepted" },
  }),
  Live: closed("The process answers.", { status: { type: "string", const: "ok" }, version: { type: "string" } }),
  Ready: closed("Whether the daemon can do its work, check by check.", {
    ready: { type: "boolean" },
    checks: {
      type: "array",
      items: {
        type: "object",
        description: "One part the daemon needs.",
        properties: {
          name: { type: "string" },
          state: { type: "string", enum: ["ok", "degraded", "failed"] },
          detail: { type: "string" },
          values: {
            type: "object",
            description: "The numbers behind the sentence, where there are any; units stand in their names.",
            additionalProperties: { type: "number" },
          },
        },
        required: ["name", "state", "detail"],
        additionalProperties: false,
      },
    },
  }),
  Problem: closed("What went wrong (RFC 9457).", {
    type: { type: "string", format: "uri" },
    title: { type: "string" },
    status: { type: "integer", minimum: 400, maximum: 599 },
    detail: { type: "string" },
  }),
} satisfies Readonly<Record<string, JsonSchema>>;
