import { createGraphClient, type GraphClientOptions } from "../../src/graph/graph-client.ts";
import { createSystemClock } from "../../src/lib/clock.ts";

export type SeenRequest = {
  readonly method: string;
  readonly url: string;
  readonly path: string;
  readonly search: URLSearchParams;
  readonly headers: Headers;
  readonly body: string;
  /** The client's port: one a connection. */
  readonly port: number;
};
export type Reply = (seen: SeenRequest) => Response | Promise<Response>;

export const token = "EAAtesttoken";
export const secret = "test_app_secret";

/** A Graph of the test's own on a free loopback port. It says what `reply` says and remembers every request. */
export function openGraphServer(reply: Reply) {
  const seen: SeenRequest[] = [];
  let running = 0;
  const most = { running: 0 };
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    idleTimeout: 60,
    async fetch(request, listener) {
      running += 1;
      most.running = Math.max(most.running, running);
      const { pathname, searchParams } = new URL(request.url);
      const { method, url, headers } = request;
      const one = {
        method,
        url,
        path: pathname,
        search: searchParams,
        headers,
        body: await request.text(),
        port: listener.requestIP(request)?.port ?? 0,
      };
      seen.push(one);
      try {
        return await reply(one);
      } finally {
        running -= 1;
      }
    },
  });
  return {
    url: `http://127.0.0.1:${server.port}`,
    seen,
    most,
    [Symbol.asyncDispose]: () => server.stop(true),
  };
}

/** A client of that server, with the times cut down. */
export function createTestClient(url: string, options: Partial<GraphClientOptions> = {}) {
  return createGraphClient({
    instagramUrl: url,
    facebookUrl: url,
    version: "v26.0",
    appSecrets: [secret, "older_secret"],
    clock: createSystemClock(),
    totalTimeoutMs: 2_000,
    connectTimeoutMs: 1_000,
    ...options,
  });
}

export function profileBody(id: string): Record<string, unknown> {
  return { id, name: `Name ${id}`, username: `user.${id}` };
}

/** The ids that a batch asks for, in order. */
export function readBatchIds(body: string): string[] {
  const items: { relative_url: string }[] = JSON.parse(new URLSearchParams(body).get("batch") ?? "[]");
  return items.map((item) => item.relative_url.split("/")[1]?.split("?")[0] ?? "");
}

export function foundItem(id: string): unknown {
  return { code: 200, body: JSON.stringify(profileBody(id)) };
}

export function errorItem(status: number, code: number, subcode?: number): unknown {
  const error = { message: "(#0) x", type: "OAuthException", code, error_subcode: subcode, fbtrace_id: "AbC" };
  return { code: status, body: JSON.stringify({ error }) };
}
