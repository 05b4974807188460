import type { OpenApiReference, OpenApiResponse } from "./openapi-document.ts";
import { refTo } from "./schemas.ts";

function problem(description: string, headers?: OpenApiResponse["headers"]): OpenApiResponse {
  const content = { "application/problem+json": { schema: refTo("Problem") } };
  return headers === undefined ? { description, content } : { description, headers, content };
}

const retryAfter = {
  "Retry-After": {
    description: "Seconds to wait before trying again.",
    required: true,
    schema: { type: "string", pattern: "^[0-9]+$" },
  },
};

export const responses = {
  BadRequest: problem("The query or the id cannot be read; `detail` says what and which form is taken."),
  Unauthorized: problem("No API key, or one that is not the server's.", {
    "WWW-Authenticate": {
      description: "The scheme to use.",
      required: true,
      schema: { type: "string", pattern: "^Bearer" },
    },
  }),
  Unsigned: problem("X-Hub-Signature-256 is missing or wrong. The body is the same whatever was wrong."),
  Forbidden: problem(
    "No API keys are set and the request does not come from this machine; or the handshake's token is wrong.",
  ),
  NotFound: problem("There is nothing at this address. Also the answer of every path that is not described here."),
  MethodNotAllowed: problem("The path exists and does not take this method. Answered by every path.", {
    Allow: {
      description: "The methods that the path takes.",
      required: true,
      schema: { type: "string", minLength: 3 },
    },
  }),
  Conflict: problem("It cannot be done until something changes; `detail` says what."),
  Limited: problem("Instagram's limit is reached; `detail` says until when.", retryAfter),
  TooLarge: problem("The body is over the cap (4 MiB). Cut before it is read, the answer comes without a body."),
  TooSlow: problem("The body took too long to arrive. The connection is closed."),
  Internal: problem("A bug of ours. Says nothing about its inside; the server's log does."),
  Unavailable: problem("The storage does not answer now.", retryAfter),
} satisfies Readonly<Record<string, OpenApiResponse>>;

export function answerOf(response: keyof typeof responses): OpenApiReference {
  return { $ref: `#/components/responses/${response}` };
}

/** What every operation of the conversations API may answer beside its own. */
export const apiProblems = {
  "400": answerOf("BadRequest"),
  "401": answerOf("Unauthorized"),
  "403": answerOf("Forbidden"),
  "500": answerOf("Internal"),
  "503": answerOf("Unavailable"),
};

/** A 200 of one content type. */
export function answered(description: string, contentType: string, schema = {}): OpenApiResponse {
  return { description, content: { [contentType]: { schema } } };
}
