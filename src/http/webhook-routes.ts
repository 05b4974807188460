import type { Log } from "../lib/log.ts";
import { baseHeaders } from "./answer.ts";
import type { HttpDependencies, HttpOptions } from "./http-dependencies.ts";
import { problemAnswer } from "./problem.ts";
import { queryOf } from "./request-address.ts";
import type { RoutesOf } from "./route.ts";

/** Where Instagram posts, and asks once whether we are who we say. */
export const webhookPath = "/webhooks/instagram";

const textHeaders = { ...baseHeaders, "Content-Type": "text/plain;charset=utf-8" } as const;
const keptAnswer = { status: 200, headers: textHeaders } as const;

/** The handshake, and the delivery for whoever calls Elysia directly; the server takes deliveries before Elysia. */
export const webhookRoutes =
  (receiveDelivery: (request: Request) => Promise<Response>): RoutesOf<"answerHandshake"> =>
  (dependencies) => [
    {
      method: "GET",
      path: webhookPath,
      access: "open",
      answer: (request) => {
        const challenge = dependencies.answerHandshake(queryOf(request.url));
        if (challenge === null) return problemAnswer("forbidden", "The verify token or the challenge is not right.");
        return new Response(challenge, keptAnswer);
      },
    },
    { method: "POST", path: webhookPath, access: "open", answer: receiveDelivery },
  ];

/**
 * Answers one delivery: 200 kept · 401 unsigned · 413 too large · 503 try again. Nothing stands between the bytes and
 * `receive`. Never throws: a bug in there must not become a lost message, so it is a 503 and Instagram sends again.
 */
export function createDeliveryReceiver(
  dependencies: Pick<HttpDependencies, "receive">,
  { webhookBodyMax, log }: Pick<HttpOptions, "webhookBodyMax"> & { log: Pick<Log, "error"> },
): (request: Request) => Promise<Response> {
  return async (request) => {
    let body: Uint8Array;
    try {
      body = new Uint8Array(await request.arrayBuffer());
    } catch {
      // The sender hung up, or Bun cut a body over the cap and has answered 413 itself: nobody reads this answer.
      return problemAnswer("bad_request", "The body did not arrive whole.");
    }
    if (body.byteLength > webhookBodyMax) return problemAnswer("too_large");
    try {
      switch (await dependencies.receive(body, request.headers.get("x-hub-signature-256"))) {
        case "kept":
          return new Response("ok", keptAnswer);
        case "unsigned":
          return problemAnswer("unsigned");
        case "unavailable":
          return problemAnswer("unavailable");
      }
    } catch (error) {
      log.error("Cannot keep a delivery: an unexpected error", "HttpServer", { error });
      return problemAnswer("unavailable");
    }
  };
}
