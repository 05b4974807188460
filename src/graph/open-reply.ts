import { buildFailure, classifyError, type Refusal, readGraphError } from "./classify-error.ts";
import type { GraphReply } from "./fetch-reply.ts";

/** What refuses an answer before anybody looks into it: Meta's own error, else the status; null: nothing does. */
export function readRefusal(httpStatus: number, body: unknown, resumeInMs: number | null): Refusal | null {
  const error = readGraphError(httpStatus, body);
  if (error !== null) return classifyError(error, resumeInMs);
  if (httpStatus >= 500) return buildFailure("server_error", httpStatus);
  return httpStatus < 200 || httpStatus >= 300 ? buildFailure("bad_answer", httpStatus) : null;
}

/** The parsed body of a reply that is no refusal. */
export function openReply(reply: GraphReply): Refusal | { readonly kind: "answered"; readonly body: unknown } {
  if (reply.kind === "none") return buildFailure(reply.reason, reply.httpStatus);
  const { httpStatus, body, usage } = reply;
  return readRefusal(httpStatus, body, usage?.regainMs ?? null) ?? { kind: "answered", body };
}
