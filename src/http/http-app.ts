import { Elysia } from "elysia";
import { createAccessCheck } from "./access.ts";
import { accountRoutes } from "./account-routes.ts";
import { conversationRoutes } from "./conversation-routes.ts";
import { healthRoutes } from "./health-routes.ts";
import type { HttpDependencies, HttpOptions } from "./http-dependencies.ts";
import { metricsRoutes } from "./metrics-routes.ts";
import { pageRoutes } from "./page-routes.ts";
import { problemAnswer, problemOf } from "./problem.ts";
import { pathOf, targetOf } from "./request-address.ts";
import type { Route } from "./route.ts";
import { createDeliveryReceiver, refuseForNow, webhookPath, webhookRoutes } from "./webhook-routes.ts";

/** `peerOf` tells the address of a request's other end; null where it is not known. */
export type PeerOf = (request: Request) => string | null;
export type HttpApp = ReturnType<typeof createHttpApp>;

/**
 * Elysia 1.4 looks for the path from the 11th character of an address on, so it misses every path under a host of
 * fewer than four characters (`http://app/`, a usual name among containers).
 */
const elysiaPathFrom = 11;

/**
 * The HTTP side of the daemon: routes in, answers out, no socket. `fetch` is the whole of it. Errors become RFC 9457
 * problems here and nowhere else.
 */
export function createHttpApp(dependencies: HttpDependencies, options: HttpOptions) {
  const { log, webhookBodyMax } = options;
  const checkAccess = createAccessCheck(options.apiKeys);
  const receiveDelivery = createDeliveryReceiver(dependencies, options);
  const routes: readonly Route[] = [
    ...webhookRoutes(receiveDelivery)(dependencies),
    ...conversationRoutes(dependencies),
    ...accountRoutes(options.clock.nowMs)(dependencies),
    ...healthRoutes(dependencies),
    ...metricsRoutes(dependencies),
    ...pageRoutes(dependencies),
  ];
  const methodsOf = createMethodTable(routes);
  const peers = new WeakMap<Request, string | null>();

  const answerError = (request: Request, error: unknown): Response => {
    const { kind, detail } = problemOf(error);
    // The path only: a query may hold the handshake's token.
    const evidence = { method: request.method, path: pathOf(request.url), error };
    if (kind === "internal") log.error("Cannot answer a request: an unexpected error", "HttpServer", evidence);
    if (kind === "unavailable") log.warn("Cannot answer a request: a part we need is away", "HttpServer", evidence);
    return problemAnswer(kind, detail);
  };

  const elysia = new Elysia({ strictPath: true, normalize: false, precompile: true }).onError(
    ({ code, error, request }) => {
      if (code !== "NOT_FOUND") return answerError(request, error);
      const allow = methodsOf(pathOf(request.url));
      return allow === null ? problemAnswer("not_found") : problemAnswer("method_not_allowed", null, { Allow: allow });
    },
  );
  for (const { method, path, access, answer } of routes) {
    // The context is taken apart by name: Elysia reads this function's source to know what to prepare.
    const handle = async ({ request, params }: { request: Request; params: unknown }) => {
      try {
        const refusal = access === "key" ? checkAccess(request, peers.get(request) ?? null) : null;
        return refusal ?? (await answer(request, readParams(params)));
      } catch (error) {
        // Caught before Elysia sees it: it takes a `status` off what is thrown, and stumbles over a thrown undefined.
        return answerError(request, error);
      }
    };
    elysia.route(method, path, handle, { parse: "none" });
    // Bun sends a HEAD's headers and leaves the body out.
    if (method === "GET") elysia.route("HEAD", path, handle, { parse: "none" });
  }

  return {
    elysia,
    routes,
    webhookBodyMax,
    /** Answers that Bun can give to deliveries by itself; made anew for each use of it. */
    refusals: () => ({ [webhookPath]: { POST: refuseForNow() } }),
    /** For what escapes even Elysia. */
    answerError,
    fetch: (request: Request, peerOf: PeerOf): Response | Promise<Response> => {
      const { url } = request;
      // Deliveries go round Elysia: measured on Bun 1.4.5 with 32 connections, its context and response mapping cost
      // up to a quarter of a bare server's posts a second, and this branch none that shows.
      if (request.method === "POST" && isDelivery(url)) return receiveDelivery(request);
      const asked = url.indexOf("/", "http://".length) < elysiaPathFrom ? withLongHost(request) : request;
      peers.set(asked, peerOf(request));
      return elysia.fetch(asked);
    },
  };
}

function isDelivery(url: string): boolean {
  const start = url.indexOf("/", url.indexOf("://") + 3);
  if (!url.startsWith(webhookPath, start)) return false;
  const end = start + webhookPath.length;
  return url.length === end || url[end] === "?";
}

function withLongHost(request: Request): Request {
  return new Request(`http://localhost${targetOf(request.url)}`, { method: request.method, headers: request.headers });
}

/** The parts of the path as Elysia hands them over; a part with malformed escapes comes as null. */
function readParams(params: unknown): Readonly<Record<string, string | null>> {
  const read: Record<string, string | null> = {};
  if (typeof params !== "object" || params === null) return read;
  for (const [name, value] of Object.entries(params)) read[name] = typeof value === "string" ? value : null;
  return read;
}

/** Answers the `Allow` header of a path, or null where no route has that path. */
function createMethodTable(routes: readonly Route[]): (path: string) => string | null {
  const methodsByPattern = new Map<string, string[]>();
  for (const { method, path } of routes) {
    const pattern = `^${path.replaceAll(".", "\\.").replaceAll(/:[a-z]+/g, "[^/]+")}$`;
    const methods = methodsByPattern.get(pattern) ?? [];
    methods.push(...(method === "GET" ? ["GET", "HEAD"] : [method]));
    methodsByPattern.set(pattern, methods);
  }
  const table = [...methodsByPattern].map(([pattern, methods]) => ({
    pattern: new RegExp(pattern),
    allow: methods.join(", "),
  }));
  return (path) => table.find(({ pattern }) => pattern.test(path))?.allow ?? null;
}
