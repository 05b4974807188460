/**
 * Row 32, below HTTP: a daemon each whose Graph has a name that nobody knows, a certificate that nobody signed, that has
 * expired or is another host's, or that does not speak TLS at all. Messages are kept, people wait for the network, and
 * get their names once the same address is in order. What `graph-answers` has as its last part.
 */
import { writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { waitUntil } from "../../support/bounded-wait.ts";
import { makeCertificate } from "../certificate.ts";
import { findQuietPort } from "../quiet-port.ts";
import { openLane } from "../request-lane.ts";
import type { Rig } from "../rig.ts";
import { buildRequest, requestMsDefault } from "../sender.ts";
import type { People } from "./graph-kit.ts";
import { buildStranger, buildStrangerBody } from "./hostile-kit.ts";

const failedMsMax = 15_000;
const namedMsMax = 60_000; // Tried again within a second as a rule; 16 s after the second time, and sweeps come every 15 s.
/** No name has so long a part: it fails without a question to anybody. */
const unknownHost = `${"x".repeat(64)}.invalid`;

/** Breaks every kind once. The rig's own daemon must have ended: it would look everybody up. Answers how many people. */
export async function breakTransport(rig: Rig, people: People): Promise<number> {
  const { broken } = people;
  const authority = makeCertificate({ name: "Fault authority", days: [-2, 2] });
  const certify = (days: readonly [number, number], ip = "127.0.0.1", issuer: typeof authority | null = authority) =>
    makeCertificate({ name: "graph", issuer, days, ip });
  const trusted = join(rig.folder, "authority.pem");
  writeFileSync(trusted, authority.cert);
  const kinds = [
    { name: "unknown host", front: null },
    { name: "signed by itself", front: () => serveTls(rig, certify([-1, 1], "127.0.0.1", null)) },
    { name: "expired", front: () => serveTls(rig, certify([-2, -1])) },
    { name: "another host's", front: () => serveTls(rig, certify([-1, 1], "127.0.0.2")) },
    { name: "no TLS", front: () => serveNoise },
  ] as const;
  const good = serveTls(rig, certify([-1, 1]));
  await using opened = new AsyncDisposableStack();
  const cases = await Promise.all(
    kinds.map(async ({ name, front }, at) => {
      const port = await findQuietPort();
      const host = front === null ? unknownHost : `127.0.0.1:${port}`;
      const withHost = (url: string, to: string) => `https://${to}${new URL(url).pathname.replace(/\/$/, "")}`;
      const urls = (to: string) => ({
        GRAPH_INSTAGRAM_URL: withHost(rig.sandbox.instagramUrl, to),
        GRAPH_FACEBOOK_URL: withHost(rig.sandbox.facebookUrl, to),
        NODE_EXTRA_CA_CERTS: trusted,
        SOCIAL_SYNC_LOG_LEVEL: "debug",
      });
      const daemon = await rig.addDaemon(`transport-${at}`, urls(host));
      const ids = [0, 1].map((account) => ({ account, id: people.take(account, 1)[0] ?? "" }));
      return { name, port, ids, daemon, front: front?.() ?? null, mended: urls(`127.0.0.1:${port}`), at };
    }),
  );
  const fronts = new Map(cases.map(({ port, front }) => [port, front?.(port) ?? null]));
  opened.defer(async () => {
    for (const front of fronts.values()) await front?.();
  });
  const outputs: string[] = [];
  const breakAndMend = async ({ name, port, ids, daemon, front, mended, at }: (typeof cases)[number]) => {
    await daemon.start();
    for (const { account, id } of ids) {
      const accountId = people.accountOf(account);
      const body = buildStrangerBody([buildStranger(`transport-${id}`, id, accountId)], accountId);
      using lane = openLane(daemon.port);
      const request = buildRequest(body, { port: daemon.port, secret: rig.appSecret });
      const { status } = await lane.send(request, requestMsDefault);
      if (status !== 200) broken.push(`${name}: a message got ${status}`);
    }
    const own = ids.map(({ id }) => id);
    const isFailed = async () => (await people.read(own)).every(({ attempts }) => attempts > 0);
    await waitUntil(isFailed, failedMsMax, `Cannot see the lookups fail: ${name}`, 20);
    for (const { reason, username, status } of await people.read(own))
      if (reason !== "network" || username !== null || !["pending", "failed"].includes(status))
        broken.push(`${name}: a person is ${status} for ${reason} with the name ${username}`);
    await fronts.get(port)?.();
    fronts.set(port, good(port));
    if (front !== null) return daemon;
    // A name comes to be known: what stands for it here is another address, with the same folder.
    outputs.push(daemon.output());
    await daemon.stop();
    const again = await rig.addDaemon(`transport-${at}`, mended);
    await again.start();
    return again;
  };
  const daemons = await Promise.all(cases.map(breakAndMend));

  const all = cases.flatMap(({ ids }) => ids.map(({ id }) => id));
  const isNamed = async () => {
    const rows = await people.read(all);
    // By chance all three attempts may have come before the mending. The next would be in an hour, or when asked for.
    for (const { status, account_id, id } of rows)
      if (status === "failed")
        await fetch(`${daemons[0]?.url}/messaging/conversations/${account_id}_${id}/enrich`, { method: "POST" });
    return rows.every(({ username }) => username !== null);
  };
  await waitUntil(isNamed, namedMsMax, "Not named", 50).catch(async () => {
    for (const row of await people.read(all))
      if (row.username === null) broken.push(`Not named once the network was in order: ${JSON.stringify(row)}`);
  });
  const tokens = rig.sandbox.world.accounts.map(({ token }) => token);
  for (const words of [...outputs, ...daemons.map((daemon) => daemon.output())])
    if (tokens.some((token) => words.includes(token))) broken.push("A token stands in a daemon's log");
  for (const daemon of [...cases.map((one) => one.daemon), ...daemons]) broken.push(...daemon.complaints());
  const kept = await rig.sql`select from messages where mid like 'transport-%' and has_content`;
  if (kept.length !== all.length) broken.push(`${kept.length} of ${all.length} messages were kept`);
  return all.length;
}

type Front = (port: number) => () => Promise<void>;

/** The sandbox behind TLS. */
function serveTls(rig: Rig, { key, cert }: { readonly key: string; readonly cert: string }): Front {
  return (port) => {
    const server = Bun.serve({
      port,
      hostname: "127.0.0.1",
      tls: { key, cert },
      async fetch(request) {
        const { pathname, search } = new URL(request.url);
        const body = request.method === "GET" ? null : await request.arrayBuffer();
        const headers = new Headers(request.headers);
        headers.delete("accept-encoding");
        return await fetch(`${rig.sandbox.origin}${pathname}${search}`, { method: request.method, headers, body });
      },
    });
    return () => server.stop(true);
  };
}

/** Answers the first bytes of a handshake with something else. */
const serveNoise: Front = (port) => {
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", () => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
  });
  server.listen(port, "127.0.0.1");
  return () => new Promise((resolve) => server.close(() => resolve()));
};
