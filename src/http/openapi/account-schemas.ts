import { accountStates, logins } from "../../domain/account.ts";
import { profileStatuses } from "../../domain/profile.ts";
import { closed, textOrNull, time, timeOrNull, wholeNumber } from "./closed-schema.ts";
import type { JsonSchema } from "./openapi-document.ts";

const sentences = { type: "array", items: { type: "string", minLength: 1 } };
const wholeOrNull = { type: ["integer", "null"], minimum: 0 };

/** How accounts stand, and why a profile looks as it does. */
export const accountSchemas = {
  Story: closed("Why a profile looks as it does, and what happens next.", {
    conversationId: { type: "string" },
    accountId: { type: "string" },
    participantPlatformId: { type: "string" },
    participantUsername: textOrNull,
    participantName: textOrNull,
    status: { $ref: "#/components/schemas/ProfileStatus" },
    reason: textOrNull,
    attempts: { ...wholeNumber, description: "Attempts spent since the lookup was armed." },
    lookedUpAt: timeOrNull,
    nextAttemptAt: { ...timeOrNull, description: "When it is tried again by itself; null: only an event asks again." },
    evidence: {
      description: "What Instagram answered, for a report to Meta; null where it said nothing against it.",
      anyOf: [
        { type: "null" },
        closed("The numbers of Instagram's answer.", {
          httpStatus: wholeOrNull,
          code: { type: ["integer", "null"] },
          subcode: { type: ["integer", "null"] },
          fbtraceId: textOrNull,
        }),
      ],
    },
    happened: { ...sentences, description: "What was tried, and when." },
    said: { ...textOrNull, description: "What Instagram said, in a sentence." },
    next: { ...sentences, description: "What happens next, and when." },
    advice: { ...sentences, description: "What a person can do." },
  }),
  AccountHealth: closed("An account and what keeps it from looking people up.", {
    id: { type: "string", description: "The operator's own name of it." },
    instagramId: { type: "string" },
    username: textOrNull,
    login: { type: "string", enum: logins },
    pageId: textOrNull,
    health: { type: "string", enum: ["ok", "attention", "blocked"] },
    problems: { ...sentences, description: "What is wrong, until when, and what to do." },
    state: { type: "string", enum: accountStates },
    stateReason: textOrNull,
    stateSince: time,
    pausedUntil: { ...timeOrNull, description: "When one person is asked as a probe; null: only an operator ends it." },
    token: closed("The token, without itself.", {
      present: { type: "boolean" },
      savedAt: timeOrNull,
      expiresAt: timeOrNull,
    }),
    people: closed(
      "How many people stand in each profile status.",
      Object.fromEntries(profileStatuses.map((status) => [status, wholeNumber])),
    ),
    graph: {
      description: "Whether Instagram's own servers work, as this daemon sees it; null where this process cannot know.",
      anyOf: [
        { type: "null" },
        closed("The circuit of the account's Graph host.", {
          failingSince: { ...timeOrNull, description: "Since when one person is asked every 30 s; null: they answer." },
        }),
      ],
    },
    budget: {
      description: "Calls of the window that ends now; null where this process cannot know.",
      anyOf: [
        { type: "null" },
        closed("The allowance of calls.", {
          used: wholeNumber,
          ceiling: wholeOrNull,
          usagePercent: { type: ["number", "null"], minimum: 0, description: "What Instagram's headers told last." },
          resumesAt: { ...timeOrNull, description: "No call goes before this; null: one may go." },
        }),
      ],
    },
  }),
  AccountList: closed("Every account.", {
    data: { type: "array", items: { $ref: "#/components/schemas/AccountHealth" } },
  }),
} satisfies Readonly<Record<string, JsonSchema>>;
