import { describe, expect, test } from "bun:test";
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { ask, openFolder, runProgram, startDaemon, until } from "../support/program.ts";

type Page = {
  data: {
    participantUsername: string | null;
    participantProfilePic: string | null;
    participantPlatformId: string;
    profile: { status: string };
  }[];
};

describe("social-sync serve --sandbox, with nothing else on the machine", () => {
  test("conversations arrive as numbers and gain names and pictures; it stops in order and goes on where it was", async () => {
    using folder = openFolder();
    const env = { SOCIAL_SYNC_DATA_DIR: folder.path };
    let known = "";
    {
      await using daemon = await startDaemon(["--sandbox", "--messages-per-second", "20", "--latency-ms", "700"], env);
      const list = () => ask<Page>(`${daemon.url}/messaging/conversations?limit=100`);
      let nameless = 0;
      await until(
        async () => {
          const { data } = await list();
          nameless = Math.max(
            nameless,
            data.filter((one) => one.profile.status === "pending" && one.participantUsername === null).length,
          );
          return (
            data.filter((one) => one.participantUsername !== null && one.participantProfilePic !== null).length >= 5
          );
        },
        60_000,
        () => daemon.output.err,
      );
      expect(nameless).toBeGreaterThan(0);
      const named = (await list()).data.find((one) => one.participantProfilePic !== null);
      known = named?.participantPlatformId ?? "";
      // The picture is there to be shown.
      const picture = await fetch(named?.participantProfilePic ?? "");
      expect(picture.headers.get("Content-Type")).toContain("image/");
      expect(daemon.output.err).toContain("embedded Postgres");
      expect(daemon.output.err).toContain(`${daemon.url}/messaging/conversations`);
      for (const path of ["/", "/docs", "/openapi.json", "/health/live", "/health/ready"])
        expect((await fetch(daemon.url + path)).status).toBe(200);

      const second = await runProgram(["serve", "--sandbox", "--port", "0"], env);
      expect(second.code).toBe(5);
      expect(second.err).toContain("another social-sync holds it");

      daemon.signal("SIGTERM");
      const ended = await daemon.ended;
      expect(ended.code).toBe(0);
      expect(ended.err.trimEnd()).toEndWith("Stopped.");
      // Operators grep for these, word for word.
      for (const message of ["Message processed", `Successfully enriched conversation`])
        expect(ended.err).toContain(`"message":"${message}`);
    }
    await using again = await startDaemon(["--sandbox", "--messages-per-second", "0"], env);
    const { data } = await ask<Page>(`${again.url}/messaging/conversations?limit=100`);
    expect(data.find((one) => one.participantPlatformId === known)?.participantUsername).toBeString();
    expect(statSync(join(folder.path, "sandbox", "encryption.key")).mode & 0o777).toBe(0o600);
    expect(existsSync(join(folder.path, "sandbox", "queue", "queue.db"))).toBe(true);
  }, 120_000);

  test("refuses to start without a secret, and says all that is wrong at once", async () => {
    using folder = openFolder();
    const ended = await runProgram(["serve"], {
      SOCIAL_SYNC_DATA_DIR: folder.path,
      PORT: "no",
      REDIS_URL: "http://x",
      HOST: "0.0.0.0",
    });
    expect(ended.code).toBe(1);
    for (const name of ["META_APP_SECRET", "PORT", "REDIS_URL", "SOCIAL_SYNC_API_KEYS"])
      expect(ended.err).toContain(name);
    expect(ended.out).toBe("");
  }, 30_000);

  test("prints its settings without a secret", async () => {
    const secrets = {
      META_APP_SECRET: "hush-hush-1",
      META_VERIFY_TOKEN: "hush-hush-2",
      SOCIAL_SYNC_API_KEYS: "hush-hush-3-hush-hush",
    };
    const ended = await runProgram(["serve", "--print-config"], {
      ...secrets,
      DATABASE_URL: "postgres://u:hush-hush-4@127.0.0.1/x",
    });
    expect(ended.code).toBe(0);
    expect(ended.out).not.toContain("hush");
    expect(JSON.parse(ended.out)).toMatchObject({ appSecrets: "1 set", host: "127.0.0.1" });
  }, 30_000);
});
