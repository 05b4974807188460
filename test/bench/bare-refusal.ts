/**
 * A server that can do nothing but refuse: what a 503 takes on this machine, in this hour, under a flood, beside the
 * product's figure. A process of its own, as the product is.
 */
import type { BareListening } from "./bare-webhook.ts";
import { tellRunner } from "./bench-child.ts";

const server = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  routes: { "/webhooks/instagram": new Response("later", { status: 503, headers: { "Retry-After": "1" } }) },
});
tellRunner<BareListening>({ kind: "listening", port: server.port ?? 0 });
