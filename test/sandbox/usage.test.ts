import { describe, expect, test } from "bun:test";
import { accountOf, ask, openTestSandbox, personOf } from "./open-test-sandbox.ts";

describe("openSandbox() usage and throttling", () => {
  test("openSandbox() sends the usage headers of each host, with their own keys", async () => {
    await using box = await openTestSandbox({ ratePerWindow: 10 });
    const [instagram, facebook] = [accountOf(box.sandbox, 0), accountOf(box.sandbox, 1)];
    const first = await ask(
      `${box.sandbox.instagramUrl}/v25.0/${personOf(box.sandbox, 0, 0).id}?fields=name`,
      instagram.token,
    );
    expect(JSON.parse(first.headers.get("X-App-Usage") ?? "")).toEqual({
      call_volume: expect.any(Number),
      cpu_time: expect.any(Number),
    });
    expect(first.headers.get("instagram-api-version")).toBe("v25.0");
    expect(JSON.parse(first.headers.get("X-Business-Use-Case-Usage") ?? "")).toEqual({
      [instagram.instagramId]: [
        { type: "instagram", call_count: 10, total_cputime: 2, total_time: 5, estimated_time_to_regain_access: 0 },
      ],
    });
    const second = await ask(
      `${box.sandbox.facebookUrl}/${personOf(box.sandbox, 1, 0).id}?fields=name`,
      facebook.token,
    );
    expect(JSON.parse(second.headers.get("X-App-Usage") ?? "")).toEqual({
      call_count: expect.any(Number),
      total_time: expect.any(Number),
      total_cputime: expect.any(Number),
    });
    const useCase = JSON.parse(second.headers.get("X-Business-Use-Case-Usage") ?? "");
    expect(Object.keys(useCase).sort()).toEqual([facebook.instagramId, String(facebook.pageId)].sort());
  });

  test("openSandbox() throttles an account's pool by a code of its host and names the minutes", async () => {
    await using box = await openTestSandbox({ ratePerWindow: 3, windowMs: 3_600_000 });
    const { token } = accountOf(box.sandbox, 0);
    const call = (at: number) =>
      ask(`${box.sandbox.instagramUrl}/${personOf(box.sandbox, 0, at).id}?fields=name`, token);
    for (let at = 0; at < 3; at += 1) {
      expect((await call(at)).status).toBe(200);
      box.manual.pass(60_000);
    }
    const { status, body, headers } = await call(3);
    expect([400, 403, 429]).toContain(status);
    expect(body.error.code).toBe(80002);
    const entry = Object.values<{ call_count: number; estimated_time_to_regain_access: number }[]>(
      JSON.parse(headers.get("X-Business-Use-Case-Usage") ?? ""),
    )[0]?.[0];
    expect(entry).toMatchObject({ call_count: 100, estimated_time_to_regain_access: 57 });
    // Another pool and another account go on.
    expect((await ask(`${box.sandbox.instagramUrl}/me?fields=username`, token)).status).toBe(200);
    const other = await ask(
      `${box.sandbox.facebookUrl}/${personOf(box.sandbox, 1, 0).id}?fields=name`,
      accountOf(box.sandbox, 1).token,
    );
    expect(other.status).toBe(200);
    box.manual.pass(57 * 60_000);
    expect((await call(3)).status).toBe(200);
    expect((await call(4)).status).not.toBe(200);
    expect(box.sandbox.calls.throttled).toBe(2);
  });

  test("openSandbox() scales the minutes with a shorter window", async () => {
    await using box = await openTestSandbox({ ratePerWindow: 1, windowMs: 6000 });
    const { token } = accountOf(box.sandbox, 0);
    const call = () => ask(`${box.sandbox.instagramUrl}/${personOf(box.sandbox, 0, 0).id}?fields=name`, token);
    await call();
    box.manual.pass(3000);
    expect((await call()).headers.get("X-Business-Use-Case-Usage")).toContain('"estimated_time_to_regain_access":30');
  });

  test("openSandbox() lets never more than the rate through in any window", async () => {
    await using box = await openTestSandbox({ ratePerWindow: 20, windowMs: 1000 });
    const { token } = accountOf(box.sandbox, 0);
    const id = personOf(box.sandbox, 0, 0).id;
    for (let round = 0; round < 150; round += 1) {
      await Promise.all([0, 1].map(() => ask(`${box.sandbox.instagramUrl}/${id}?fields=name`, token)));
      box.manual.pass(round % 40 === 0 ? 700 : 13);
    }
    const accepted = box.sandbox.calls.list().filter(({ status }) => status === 200);
    for (const { atMs } of accepted) {
      expect(accepted.filter((other) => other.atMs > atMs - 1000 && other.atMs <= atMs).length).toBeLessThanOrEqual(20);
    }
    expect(accepted.length).toBeGreaterThan(60);
    expect(box.sandbox.calls.throttled).toBe(300 - accepted.length);
  });

  test("setRate() takes effect at once, and null lifts the limit", async () => {
    await using box = await openTestSandbox({ ratePerWindow: 0 });
    const { token } = accountOf(box.sandbox, 0);
    const call = async () =>
      (await ask(`${box.sandbox.instagramUrl}/${personOf(box.sandbox, 0, 0).id}?fields=name`, token)).status;
    expect(await call()).not.toBe(200);
    box.sandbox.setRate(null);
    expect(await call()).toBe(200);
  });

  test("openSandbox() adds the latency to each request", async () => {
    await using box = await openTestSandbox({ latencyMs: 40 });
    let done = false;
    const asked = ask(`${box.sandbox.instagramUrl}/me?fields=username`, accountOf(box.sandbox, 0).token).then(() => {
      done = true;
    });
    while (box.manual.waiting() === 0) await Bun.sleep(1);
    box.manual.pass(39);
    await Bun.sleep(20);
    expect(done).toBe(false);
    box.manual.pass(1);
    await asked;
  });
});

describe("createCallLog()", () => {
  test("createCallLog() keeps the last calls and no query", async () => {
    await using box = await openTestSandbox({ callLogMax: 3 });
    const { token, instagramId } = accountOf(box.sandbox, 0);
    for (let at = 0; at < 5; at += 1) {
      await ask(
        `${box.sandbox.instagramUrl}/v26.0/${personOf(box.sandbox, 0, at).id}?fields=name&access_token=${token}`,
      );
    }
    const calls = box.sandbox.calls.list();
    expect(calls.map(({ personIds }) => personIds[0])).toEqual([2, 3, 4].map((at) => personOf(box.sandbox, 0, at).id));
    expect(calls[0]).toMatchObject({
      host: "instagram",
      method: "GET",
      accountId: instagramId,
      status: 200,
      code: null,
    });
    expect(JSON.stringify(calls)).not.toContain(token);
    expect(box.sandbox.calls.profileRequests).toBe(5);
    box.sandbox.calls.reset();
    expect(box.sandbox.calls.list()).toEqual([]);
    expect(box.sandbox.calls.profileItems).toBe(0);
  });
});
