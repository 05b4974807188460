/** "200 means kept" on the first run, with the embedded database, which flushes nothing: the spool must carry the promise. */
import { describe, expect, test } from "bun:test";
import { ask, openFolder, startDaemon, until } from "../support/program.ts";
import { account, delivery, inbound, secret, sign } from "../support/webhook-bodies.ts";

type Page<T> = { readonly data: T[]; readonly nextCursor: string | null };
type Health = { readonly checks: { readonly name: string; readonly values?: { readonly records: number } }[] };
type Daemon = Awaited<ReturnType<typeof startDaemon>>;

const kills = 3;
const lanes = 8;
const people = 12;
const againEvery = 10;
const spooledMsMax = 30_000;

async function readAll<T>(url: string): Promise<T[]> {
  const all: T[] = [];
  for (let cursor: string | null = ""; cursor !== null; ) {
    const page: Page<T> = await ask<Page<T>>(`${url}?limit=100${cursor === "" ? "" : `&cursor=${cursor}`}`);
    all.push(...page.data);
    cursor = page.nextCursor;
  }
  return all;
}

describe("social-sync serve on the embedded database", () => {
  test("loses nothing that it acknowledged and counts nothing twice, killed under load again and again", async () => {
    using folder = openFolder();
    const env = { SOCIAL_SYNC_DATA_DIR: folder.path, META_APP_SECRET: secret };
    const sent = new Set<string>();
    const acknowledged = new Set<string>();
    const statuses = new Set<number>();
    const isSpoolEmpty = async ({ url }: Daemon) => {
      const { checks } = await ask<Health>(`${url}/health/ready`);
      return checks.find(({ name }) => name === "spool")?.values?.records === 0;
    };

    /** One after the other until the daemon is gone, some of them twice. */
    const runLane = async ({ url }: Daemon, isOver: () => boolean) => {
      while (!isOver()) {
        const n = sent.size;
        const mid = `m${n}`;
        sent.add(mid);
        const body = delivery([inbound(`9${n % people}0`, mid, Date.now())]);
        const post = () =>
          fetch(`${url}/webhooks/instagram`, { method: "POST", body, headers: { "X-Hub-Signature-256": sign(body) } });
        for (let times = n % againEvery === 0 ? 2 : 1; times > 0; times -= 1) {
          const status = await post().then(
            (answer) => answer.status,
            () => null, // cut by its death: sent, and never acknowledged
          );
          if (status === null) return;
          statuses.add(status);
          if (status === 200) acknowledged.add(mid);
        }
      }
    };

    for (let life = 0; life < kills; life += 1) {
      await using daemon = await startDaemon([], env);
      let over = false;
      const before = acknowledged.size;
      const load = Promise.all(Array.from({ length: lanes }, () => runLane(daemon, () => over)));
      // A life that has acknowledged nothing proves nothing; after that it ends anywhere.
      await until(() => acknowledged.size > before + 50, 20_000);
      await Bun.sleep(Math.random() * 600);
      daemon.signal("SIGKILL");
      await daemon.ended;
      over = true;
      await load;
    }

    await using daemon = await startDaemon([], env);
    await until(
      () => isSpoolEmpty(daemon),
      spooledMsMax,
      () => daemon.output.err,
    );
    const conversations = await readAll<{ id: string; unreadCount: number }>(`${daemon.url}/messaging/conversations`);
    const stored: string[] = [];
    for (const { id, unreadCount } of conversations) {
      const messages = await readAll<{ id: string }>(`${daemon.url}/messaging/conversations/${id}/messages`);
      expect({ id, unreadCount }).toEqual({ id, unreadCount: messages.length });
      stored.push(...messages.map((message) => message.id));
    }
    expect(new Set(stored).size).toBe(stored.length);
    expect(stored.filter((mid) => !sent.has(mid))).toEqual([]);
    expect([...acknowledged].filter((mid) => !stored.includes(mid))).toEqual([]);
    expect(conversations.every(({ id }) => id.startsWith(`${account}_`))).toBe(true);
    expect([...statuses].filter((status) => status !== 200 && status !== 503)).toEqual([]);
  }, 120_000);
});
