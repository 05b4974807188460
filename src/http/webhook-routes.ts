import type { Log } from "../lib/log.ts";
import { baseHeaders } from "./answer.ts";
import type { HttpDependencies, HttpOptions } from "./http-dependencies.ts";
import { prepareProblem, problemAnswer } from "./problem.ts";
import { createBodyReader } from "./read-body.ts";
import { queryOf } from "./request-address.ts";
import type { RoutesOf } from "./route.ts";

/** Where Instagram posts, and asks once whether we are who we say. */
export const webhookPath = "/webhooks/instagram";

const textHeaders = { ...baseHeaders, "Content-Type": "text/plain;charset=utf-8" } as const;
const keptAnswer = { status: 200, headers: textHeaders } as const;

/** The handshake, and the delivery for whoever calls Elysia directly; the server takes deliveries before Elysia. */
export const webhookRoutes =
  (receiveDelivery: (request: Request) => Response | Promise<Response>): RoutesOf<"answerHandshake"> =>
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

/** Built once: whoever sends too much must not cost us as much as whoever is served. */
const refuseUnsigned = prepareProblem("unsigned");
const refuseLarge = prepareProblem("too_large");
/** Not now: send it again, so and so much later. */
export const refuseForNow = prepareProblem("unavailable");
/** The rest of the body would still come in: Bun closes the connection with this answer. */
const refuseSlow = prepareProblem("too_slow", { Connection: "close" });

/** Bytes of bodies that may be on their way in: anybody can begin one, signed or not. */
export const bytesArrivingMax = 64 * 1024 * 1024;

/**
 * Answers one delivery: 200 kept · 401 unsigned · 408 too slow · 413 too large · 503 try again. Nothing stands between
 * the bytes and `receive`. Never throws: a bug in there must not become a lost message, so it is a 503 and Instagram
 * sends again.
 */
export function createDeliveryReceiver(
  dependencies: Pick<HttpDependencies, "receive" | "isFull" | "onShed">,
  {
    webhookBodyMax,
    log,
    clock,
    bodyMs,
  }: Pick<HttpOptions, "webhookBodyMax" | "clock" | "bodyMs"> & {
    log: Pick<Log, "error">;
  },
): (request: Request) => Response | Promise<Response> {
  const readBody = createBodyReader(clock, bodyMs);
  const receive = async (request: Request): Promise<Response> => {
    let body: Uint8Array | null;
    try {
      body = await readBody(request);
    } catch {
      // The sender hung up, or Bun cut a body over the cap and has answered 413 itself: nobody reads this answer.
      return problemAnswer("bad_request", "The body did not arrive whole.");
    }
    if (body === null) return refuseSlow();
    if (body.byteLength > webhookBodyMax) return refuseLarge();
    try {
      switch (await dependencies.receive(body, request.headers)) {
        case "kept":
          return new Response("ok", keptAnswer);
        case "unsigned":
          return refuseUnsigned();
        case "unavailable":
          return refuseForNow();
      }
    } catch (error) {
      log.error("Cannot keep a delivery: an unexpected error", "HttpServer", { error });
      return refuseForNow();
    }
  };
  let arrivingBytes = 0;
  /** Counts what is on its way by what its sender declares, or by the most it may be: a body is held until it is whole. */
  const receiveCounted = (request: Request): Response | Promise<Response> => {
    const declared = Number(request.headers.get("content-length") ?? webhookBodyMax);
    const bytes = Number.isSafeInteger(declared) && declared >= 0 ? declared : webhookBodyMax;
    if (arrivingBytes + bytes > bytesArrivingMax) {
      dependencies.onShed();
      return refuseForNow();
    }
    arrivingBytes += bytes;
    return receive(request).finally(() => {
      arrivingBytes -= bytes;
    });
  };
  // Under a flood most answers are this one: it waits for nothing, not even for the body.
  return (request) => (dependencies.isFull() ? refuseForNow() : receiveCounted(request));
}
