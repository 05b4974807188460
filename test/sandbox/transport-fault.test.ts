import { describe, expect, test } from "bun:test";
import { createSystemClock } from "../../src/lib/clock.ts";
import { hugeBytes } from "../../src/sandbox/transport-fault.ts";
import { accountOf, ask, openTestSandbox, personOf } from "./open-test-sandbox.ts";

const urlOf = (base: string, suffix: string) => `${base}/v26.0/9990000000000${suffix}?fields=name,username,profile_pic`;

async function fetchOf(sandboxUrl: string, token: string, suffix: string, signal?: AbortSignal) {
  return fetch(urlOf(sandboxUrl, suffix), {
    redirect: "manual",
    headers: { Authorization: `Bearer ${token}` },
    ...(signal ? { signal } : {}),
  });
}

describe("openSandbox() transport faults", () => {
  test("openSandbox() answers HTML, a bad gateway, nothing, half a JSON and a redirect inwards", async () => {
    await using box = await openTestSandbox();
    const { token } = accountOf(box.sandbox, 0);
    const get = (suffix: string) => ask(urlOf(box.sandbox.instagramUrl, suffix), token);
    const html = await get("803");
    expect([html.status, html.headers.get("Content-Type")]).toEqual([200, "text/html; charset=utf-8"]);
    expect((await get("809")).status).toBe(502);
    expect((await get("807")).body).toBe("");
    const half = await get("808");
    expect(half.body).toStartWith('{"name"');
    const redirect = await get("806");
    expect(redirect.status).toBe(302);
    expect(box.sandbox.calls.counts().redirectsFollowed).toBe(0);
    await ask(redirect.headers.get("Location") ?? "");
    expect(box.sandbox.calls.counts().redirectsFollowed).toBe(1);
  });

  test("openSandbox() breaks the connection in the middle of a body", async () => {
    await using box = await openTestSandbox({ clock: createSystemClock() });
    const response = await fetchOf(box.sandbox.instagramUrl, accountOf(box.sandbox, 0).token, "804");
    expect(response.status).toBe(200);
    await expect(response.text()).rejects.toThrow();
  });

  test("openSandbox() never answers a hanging person until it closes", async () => {
    const box = await openTestSandbox();
    const patience = new AbortController();
    const asked = fetchOf(box.sandbox.instagramUrl, accountOf(box.sandbox, 0).token, "801", patience.signal).then(
      () => "answered",
      () => "no answer",
    );
    const first = await Promise.race([asked, Bun.sleep(80).then(() => "waiting")]);
    expect(first).toBe("waiting");
    patience.abort();
    expect(await asked).toBe("no answer");
    await box.sandbox[Symbol.asyncDispose]();
    expect(box.manual.waiting()).toBe(0);
  });

  test("openSandbox() answers one byte a second", async () => {
    await using box = await openTestSandbox();
    const response = await fetchOf(box.sandbox.instagramUrl, accountOf(box.sandbox, 0).token, "802");
    const reader = response.body?.getReader();
    const sizes: number[] = [];
    for (let second = 0; second < 3; second += 1) {
      const part = await reader?.read();
      sizes.push(part?.value?.length ?? 0);
      while (box.manual.waiting() === 0) await Bun.sleep(1);
      box.manual.pass(1000);
    }
    expect(sizes).toEqual([1, 1, 1]);
    await reader?.cancel();
  });

  test("openSandbox() answers 50 MB to who reads them", async () => {
    await using box = await openTestSandbox();
    const response = await fetchOf(box.sandbox.instagramUrl, accountOf(box.sandbox, 0).token, "805");
    let bytes = 0;
    for await (const part of response.body ?? []) bytes += part.length;
    expect(bytes).toBeGreaterThanOrEqual(hugeBytes);
  });

  test("openSandbox() breaks a whole batch by one person with a transport fault", async () => {
    await using box = await openTestSandbox();
    const { token } = accountOf(box.sandbox, 1);
    const batch = JSON.stringify(
      [personOf(box.sandbox, 1, 0).id, "9990000000000803"].map((id) => ({ method: "GET", relative_url: id })),
    );
    const { body } = await ask(`${box.sandbox.facebookUrl}/`, token, {
      method: "POST",
      body: new URLSearchParams({ batch }),
    });
    expect(body).toStartWith("<!DOCTYPE html>");
  });
});

describe("openSandbox() twisted answers", () => {
  test("openSandbox() answers for another id, in other shapes, and with hostile names and pictures", async () => {
    await using box = await openTestSandbox();
    const { token } = accountOf(box.sandbox, 0);
    const get = async (suffix: string) => (await ask(urlOf(box.sandbox.instagramUrl, suffix), token)).body;
    expect((await get("901")).id).toBe("9990000000000902");
    expect(typeof (await get("902"))).toBe("string");
    expect(Array.isArray((await get("903")).data)).toBe(true);
    expect(typeof (await get("904")).name).toBe("number");
    expect((await get("905")).name).toHaveLength(1_000_000);
    expect((await get("906")).name).toContain("\u0000");
    expect((await get("907")).name.isWellFormed()).toBe(false);
    expect((await get("908")).name).toContain("\u202e");
    expect((await get("920")).profile_pic).toBeString();
  });
});
