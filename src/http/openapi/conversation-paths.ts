import { conversationStatuses } from "../../domain/conversation.ts";
import { pageLimitDefault, pageLimitMax } from "../query.ts";
import type { OpenApiOperation, OpenApiParameter, OpenApiPaths } from "./openapi-document.ts";
import { answered, answerOf, apiProblems } from "./responses.ts";
import { refTo } from "./schemas.ts";

/** The empty one: without keys the server answers its own machine without any. */
const security = [{ bearer: [] }, {}];
const json = "application/json";

const id: OpenApiParameter = {
  name: "id",
  in: "path",
  description: "The conversation's id, as the list shows it.",
  required: true,
  schema: { type: "string", examples: ["17841400000000001_5551234567890123"] },
};
const page: readonly OpenApiParameter[] = [
  query("cursor", "`nextCursor` of the page before; opaque, and good for this list only.", { type: "string" }),
  query("limit", "Rows on a page.", { type: "integer", minimum: 1, maximum: pageLimitMax, default: pageLimitDefault }),
];

function query(name: string, description: string, schema: OpenApiParameter["schema"]): OpenApiParameter {
  return { name, in: "query", description, required: false, schema };
}

function operation(own: Omit<OpenApiOperation, "tags" | "security">): OpenApiOperation {
  return { ...own, tags: ["conversations"], security, responses: { ...own.responses, ...apiProblems } };
}

export const conversationPaths: OpenApiPaths = {
  "/messaging/conversations": {
    get: operation({
      operationId: "listConversations",
      summary: "List conversations, latest first",
      description: "A query key that is not described here is refused.",
      parameters: [
        query("accountId", "Only this account's: its own name, or its Instagram id.", {
          type: "string",
          minLength: 1,
          maxLength: 128,
        }),
        query("status", "Only conversations in this state.", { type: "string", enum: conversationStatuses }),
        query("profile", "Only conversations whose profile stands so.", refTo("ProfileStatus")),
        ...page,
      ],
      responses: { "200": answered("A page of conversations.", json, refTo("ConversationPage")) },
    }),
  },
  "/messaging/conversations/{id}": {
    get: operation({
      operationId: "getConversation",
      summary: "Show one conversation",
      parameters: [id],
      responses: { "200": answered("The conversation.", json, refTo("Conversation")), "404": answerOf("NotFound") },
    }),
  },
  "/messaging/conversations/{id}/messages": {
    get: operation({
      operationId: "listMessages",
      summary: "List a conversation's messages, latest first",
      parameters: [id, ...page],
      responses: { "200": answered("A page of messages.", json, refTo("MessagePage")), "404": answerOf("NotFound") },
    }),
  },
  "/messaging/conversations/{id}/enrich": {
    post: operation({
      operationId: "enrichConversation",
      summary: "Look the person up again",
      description: "Answers at once; the lookup follows in the background, within Instagram's limits.",
      parameters: [id],
      responses: {
        "202": answered("Taken.", json, refTo("Accepted")),
        "404": answerOf("NotFound"),
        "409": answerOf("Conflict"),
        "429": answerOf("Limited"),
      },
    }),
  },
  "/messaging/conversations/{id}/explain": {
    get: operation({
      operationId: "explainConversation",
      summary: "Tell why the profile looks as it does, and what happens next",
      description: "In sentences for people; `social-sync explain` prints the same.",
      parameters: [id],
      responses: { "200": answered("The story.", json, refTo("Story")), "404": answerOf("NotFound") },
    }),
  },
  "/accounts": {
    get: operation({
      operationId: "listAccounts",
      summary: "List the accounts and what keeps them from looking people up",
      description: "All of them; there are no pages. Never a token.",
      responses: { "200": answered("Every account.", json, refTo("AccountList")) },
    }),
  },
};
