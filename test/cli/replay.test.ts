import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readSince } from "../../src/cli/replay-since.ts";
import { differencesShownMax } from "../../src/cli/replay-text.ts";
import { parseWebhook } from "../../src/webhook/parse-webhook.ts";
import { delivery, inbound, secondAccount } from "../support/webhook-bodies.ts";
import { shopId, useCliWorld } from "./cli-world.ts";
import { linesOf, runCli, startCli } from "./run-cli.ts";

setDefaultTimeout(60_000);

const t = 1_762_000_000_000;

describe("replay", async () => {
  const world = await useCliWorld((of) => of.addShop("--account-id", "shop", "--username", "shop.official"));
  const save = (count: number, accountId = shopId) =>
    world.repositories.events.saveEvents(
      parseWebhook(
        delivery(
          Array.from({ length: count }, (_, n) => inbound("777", `m${n}`, t + n, {}, accountId)),
          accountId,
        ),
        t + 86_400_000,
      ).events,
      20_000,
    );
  const sql = (text: string) => world.repositories.database.query<{ sum: string }>(text, [], "arrange");

  test("says that nothing differs and exits 0", async () => {
    await save(3);
    const { exitCode, stdout, stderr } = await world.run("replay");
    expect(exitCode).toBe(0);
    expect(stdout).toBe(
      "TABLE          COMPARED  MISSING  DIFFERENT  CORRECTED  CHANGED MEANWHILE\n" +
        "messages       3         0        0          0          0\n" +
        "reactions      0         0        0          0          0\n" +
        "read_receipts  0         0        0          0          0\n" +
        "conversations  1         0        0          0          0\n",
    );
    expect(stderr).toMatch(/^Replayed 3 events in [\d,]+ ms: 0 differences, 0 corrected\.\n$/);
  });

  test("prints each difference in a line without a word of a message, corrects it, and finds none the second time", async () => {
    await save(3);
    await sql("update messages set text = 'never to be shown' where mid = 'm0'");
    await sql("delete from messages where mid = 'm1'");
    await sql("update conversations set unread_count = 9");
    const dry = await world.run("replay", "--dry-run");
    expect(dry.stdout).toStartWith(
      `messages ${shopId} m0: text 17 characters → 10 characters\nmessages ${shopId} m1: missing\nconversations ${shopId}_777: unread_count 9 → 3\n`,
    );
    expect(dry.stderr).toContain("3 differences, nothing was written.");
    const real = await world.run("replay");
    expect(linesOf(real.stdout).slice(0, 3)).toEqual(linesOf(dry.stdout).slice(0, 3));
    expect({ exitCode: real.exitCode, end: real.stderr.includes("3 differences, 3 corrected.") }).toEqual({
      exitCode: 0,
      end: true,
    });
    expect(dry.stdout + dry.stderr + real.stdout + real.stderr).not.toContain("never to");
    expect((await world.run("replay")).stderr).toContain("0 differences");
  });

  test("shows people the first hundred, and prints every one as NDJSON", async () => {
    const more = 50;
    await save(differencesShownMax + more);
    await sql("update messages set text = 'never to be shown'");
    const shown = await world.run("replay", "--dry-run");
    expect(linesOf(shown.stdout).filter((line) => line.startsWith("messages 178"))).toHaveLength(differencesShownMax);
    expect(shown.stdout).toContain("and 50 more (--json prints them all)\n");
    const { stdout, exitCode } = await world.run("replay", "--json");
    const lines = linesOf(stdout).map((line) => JSON.parse(line));
    expect(exitCode).toBe(0);
    expect(lines).toHaveLength(differencesShownMax + more + 1);
    expect(lines[0]).toEqual({
      v: 1,
      type: "difference",
      table: "messages",
      key: { account_id: shopId, mid: "m0" },
      columns: ["text"],
      stored: { text: "17 characters" },
      derived: { text: "10 characters" },
      outcome: "corrected",
    });
    expect(lines.at(-1)).toMatchObject({
      v: 1,
      type: "end",
      dryRun: false,
      exitCode: 0,
      interrupted: false,
      tables: { messages: { different: 150, corrected: 150 } },
    });
    expect(stdout).not.toContain("never to");
  });

  test("a dry run leaves every table as it is", async () => {
    await save(5);
    await sql("update messages set text = 'wrong'");
    await sql("truncate conversations");
    const sums = async () => {
      const tables = ["events", "messages", "reactions", "read_receipts", "conversations", "accounts", "schedules"];
      return await Promise.all(
        tables.map((table) =>
          sql(`select md5(string_agg(x::text || x.xmin::text, chr(10) order by x::text)) as sum from ${table} x`),
        ),
      );
    };
    const before = await sums();
    expect((await world.run("replay", "--dry-run", "--json")).exitCode).toBe(0);
    expect(await sums()).toEqual(before);
  });

  test.each(["shop", shopId, "@Shop.Official"])("takes %s as the account", async (name) => {
    await save(2);
    await save(3, secondAccount);
    expect((await world.run("replay", "--account-id", name)).stderr).toContain("Replayed 2 events");
  });

  test("takes an account that nobody added where events of it are stored, and no other", async () => {
    await save(3, secondAccount);
    expect((await world.run("replay", "--account-id", secondAccount)).stderr).toContain("Replayed 3 events");
    expect(await world.run("replay", "--account-id", "shpo")).toEqual({
      exitCode: 1,
      stdout: "",
      stderr: "Cannot find the account 'shpo': did you mean shop?\n",
    });
  });

  test("--since takes only what was received since", async () => {
    await save(4);
    await sql("update events set received_at = now() - interval '3 hours' where mid in ('m0', 'm1', 'm2')");
    expect((await world.run("replay", "--since", "2h")).stderr).toContain("Replayed 1 events");
    expect((await world.run("replay", "--since", "1d")).stderr).toContain("Replayed 4 events");
    const { exitCode, stderr } = await world.run("replay", "--since", "yesterday");
    expect({ exitCode, stderr }).toEqual({
      exitCode: 1,
      stderr:
        "Cannot use --since: 'yesterday' is neither a date nor a duration (accepted: 2026-11-20, 2026-11-20T08:00:00Z, or 90m, 2h, 7d)\n",
    });
  });

  test("SIGTERM ends it after the page in hand with exit code 3, and the next run does the rest", async () => {
    await sql(
      `insert into events (account_id, event_key, kind, participant_id, mid, occurred_at, raw)
       select '${shopId}', 'message:s' || n, 'message', '777', 's' || n, to_timestamp(${t / 1000} + n),
         json_build_object('sender', json_build_object('id', '777'), 'recipient', json_build_object('id', '${shopId}'),
           'timestamp', ${t} + n * 1000, 'message', json_build_object('mid', 's' || n, 'text', 'x'))::text
       from generate_series(1, 60000) n`,
    );
    const child = startCli(["replay", "--json"], { env: world.env });
    const decoder = new TextDecoder();
    let stdout = "";
    let told = false;
    for await (const bytes of child.stdout) {
      stdout += decoder.decode(bytes, { stream: true });
      if (!told && stdout.includes("\n")) child.kill("SIGTERM");
      told ||= stdout.includes("\n");
    }
    const stderr = await child.stderr.text();
    expect(await child.exited).toBe(3);
    expect(stderr).toContain("Finishing the page in hand…");
    expect(stderr).toMatch(/Stopped after [\d,]+ events\. Run it again/);
    expect(JSON.parse(linesOf(stdout).at(-1) ?? "")).toMatchObject({ type: "end", interrupted: true, exitCode: 3 });
    const again = await world.run("replay");
    expect(again.exitCode).toBe(0);
    expect((await world.run("replay")).stderr).toContain("Replayed 60,000 events");
    expect((await world.repositories.database.query("select unread_count from conversations", [], "read"))[0]).toEqual({
      unread_count: 60_000,
    });
  });

  test("an unreachable database exits 5", async () => {
    const env = { ...world.env, DATABASE_URL: "postgres://nobody:hunter2hunter2@127.0.0.1:1/none" };
    const { exitCode, stdout, stderr } = await runCli(["replay"], { env });
    expect({ exitCode, stdout }).toEqual({ exitCode: 5, stdout: "" });
    expect(stderr).not.toContain("hunter2");
  });

  test("works on the embedded database", async () => {
    const folder = mkdtempSync(join(tmpdir(), "social-sync-replay-"));
    try {
      const { exitCode, stderr } = await runCli(["replay"], { env: { SOCIAL_SYNC_DATA_DIR: folder } });
      expect({ exitCode, replayed: stderr.includes("Replayed 0 events") }).toEqual({ exitCode: 0, replayed: true });
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

describe("readSince()", () => {
  const nowMs = Date.parse("2026-11-22T12:00:00Z");

  test.each([
    ["90m", "2026-11-22T10:30:00Z"],
    ["2h", "2026-11-22T10:00:00Z"],
    ["7d", "2026-11-15T12:00:00Z"],
    ["1w", "2026-11-15T12:00:00Z"],
    ["30s", "2026-11-22T11:59:30Z"],
    ["2026-11-20", "2026-11-20T00:00:00Z"],
    ["2026-11-20T08:00", "2026-11-20T08:00:00Z"],
    ["2026-11-20 08:00:30", "2026-11-20T08:00:30Z"],
    ["2026-11-20T08:00:00+02:00", "2026-11-20T06:00:00Z"],
  ])("reads %s as %s", (text, iso) => {
    expect(readSince(text, nowMs)).toBe(Date.parse(iso));
  });

  test.each(["", "h", "2", "2 hours", "-2h", "2026-02-31", "2026-13-01", "20261120", "2026-11-20T99:00"])(
    "refuses %p",
    (text) => {
      expect(() => readSince(text, nowMs)).toThrow(/^Cannot use --since: .* is neither a date nor a duration/);
    },
  );

  test("refuses what is still to come", () => {
    expect(() => readSince("2027-01-01", nowMs)).toThrow("is not in the past");
  });
});
