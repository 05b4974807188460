import { describe, expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import { sandboxTroubles, troubleTable } from "../../src/sandbox/trouble.ts";
import { accountOf, ask, openTestSandbox, personOf } from "./open-test-sandbox.ts";

const fields = "fields=id,name,username,profile_pic";
const handPicked = (suffix: string) => `9990000000000${suffix}`;

describe("openSandbox() profile nodes", () => {
  for (const [index, host] of (["instagram", "facebook"] as const).entries()) {
    test(`openSandbox() answers a person's fields on graph.${host}.com by header and by parameter`, async () => {
      await using box = await openTestSandbox();
      const { sandbox } = box;
      const { token, people } = accountOf(sandbox, index);
      const base = `${sandbox.origin}/graph.${host}.com`;
      for (const person of people) {
        const { status, body } = await ask(`${base}/v26.0/${person.id}?${fields}`, token);
        expect(status).toBe(200);
        expect(body.id).toBe(person.id);
        expect(body.username).toBe(person.username);
        expect(body.name ?? null).toBe(person.name);
        expect("name" in body).toBe(person.name !== null);
        expect("profile_pic" in body).toBe(person.hasPicture);
      }
      const person = personOf(sandbox, index, 0);
      const byParameter = await ask(`${base}/${person.id}?fields=username&access_token=${token}`);
      expect(byParameter.body).toEqual({ username: person.username, id: person.id });
    });
  }

  test("openSandbox() refuses profile_picture_url on a person with code 100", async () => {
    await using box = await openTestSandbox();
    const { instagramUrl } = box.sandbox;
    const answer = await ask(
      `${instagramUrl}/v26.0/${personOf(box.sandbox, 0, 0).id}?fields=name,profile_picture_url`,
      accountOf(box.sandbox, 0).token,
    );
    expect(answer.status).toBe(400);
    expect(answer.body.error).toMatchObject({ code: 100, type: "OAuthException" });
    expect(answer.body.error.error_subcode).toBeUndefined();
  });

  test("openSandbox() knows every documented field and answers them with their types", async () => {
    await using box = await openTestSandbox();
    const all =
      "name,username,profile_pic,follower_count,is_user_follow_business,is_business_follow_user,is_verified_user";
    const { token, people } = accountOf(box.sandbox, 0);
    const person = people.find(({ name, hasPicture }) => name !== null && hasPicture);
    const { body } = await ask(`${box.sandbox.instagramUrl}/v26.0/${person?.id}?fields=${all}`, token);
    expect(body).toEqual({
      id: expect.any(String),
      name: expect.any(String),
      username: expect.any(String),
      profile_pic: expect.any(String),
      follower_count: expect.any(Number),
      is_user_follow_business: expect.any(Boolean),
      is_business_follow_user: expect.any(Boolean),
      is_verified_user: expect.any(Boolean),
    });
  });

  test("openSandbox() refuses people of another account, strangers, and ids without a row with 100/2534014", async () => {
    await using box = await openTestSandbox();
    for (const id of [personOf(box.sandbox, 1, 0).id, "1234567890123456", "9990000000000777"]) {
      const { status, body } = await ask(
        `${box.sandbox.instagramUrl}/${id}?${fields}`,
        accountOf(box.sandbox, 0).token,
      );
      expect(status).toBe(400);
      expect(body.error).toMatchObject({ code: 100, error_subcode: 2534014 });
    }
  });

  test("openSandbox() answers every error of the table with its status, code and subcode on both hosts", async () => {
    await using box = await openTestSandbox();
    for (const [index, url] of [box.sandbox.instagramUrl, box.sandbox.facebookUrl].entries()) {
      for (const trouble of sandboxTroubles) {
        const row = troubleTable[trouble];
        if (!("error" in row)) continue;
        const { status, body } = await ask(
          `${url}/v26.0/${handPicked(row.suffix)}?${fields}`,
          accountOf(box.sandbox, index).token,
        );
        const code = (index === 0 ? row.error.onInstagram?.code : undefined) ?? row.error.code;
        expect([trouble, status, body.error.code]).toEqual([trouble, row.error.status, code]);
        expect(body.error.error_subcode).toBe(row.error.subcode);
        expect(body.error.fbtrace_id).toMatch(/^A[0-9a-z]{6,}$/);
        expect(body.error.message.length).toBeGreaterThan(3);
      }
    }
  });

  test("openSandbox() answers the rows of §3.4 as they stand there", async () => {
    await using box = await openTestSandbox();
    const rows = [
      ["230", 403, 230, undefined],
      ["910", 400, 9010, undefined],
      ["909", 400, 9009, undefined],
      ["914", 400, 100, 2534014],
      ["033", 400, 100, 33],
      ["010", 403, 10, undefined],
      ["190", 401, 190, undefined],
      ["463", 401, 190, 463],
      ["102", 401, 102, undefined],
      ["500", 500, 2, undefined],
      ["604", 403, 4, undefined],
      ["613", 403, 613, undefined],
    ] as const;
    for (const [suffix, status, code, subcode] of rows) {
      const answer = await ask(
        `${box.sandbox.instagramUrl}/${handPicked(suffix)}?${fields}`,
        accountOf(box.sandbox, 0).token,
      );
      expect([answer.status, answer.body.error.code, answer.body.error.error_subcode]).toEqual([status, code, subcode]);
    }
    const gone = (index: number, url: string) =>
      ask(`${url}/${handPicked("910")}?${fields}`, accountOf(box.sandbox, index).token);
    expect((await gone(0, box.sandbox.instagramUrl)).body.error.type).toBe("IGApiException");
    expect((await gone(1, box.sandbox.facebookUrl)).body.error.type).toBe("OAuthException");
    const throttled = (index: number, url: string) =>
      ask(`${url}/${handPicked("682")}?${fields}`, accountOf(box.sandbox, index).token);
    expect((await throttled(0, box.sandbox.instagramUrl)).body.error.code).toBe(80002);
    expect((await throttled(1, box.sandbox.facebookUrl)).body.error.code).toBe(80006);
  });

  test("openSandbox() says the same error in several languages", async () => {
    await using box = await openTestSandbox();
    const messages = new Set<string>();
    for (let call = 0; call < 40; call += 1) {
      const { body } = await ask(
        `${box.sandbox.instagramUrl}/${handPicked("230")}?${fields}`,
        accountOf(box.sandbox, 0).token,
      );
      messages.add(body.error.message);
    }
    const all = [...messages].join("\n");
    expect(all).toContain("User consent is required");
    expect(all).toContain("consentimento");
    expect(all).toContain("同意");
  });

  test("openSandbox() lets a passing server error pass, and setTrouble() changes a person's trouble", async () => {
    await using box = await openTestSandbox();
    const { sandbox } = box;
    const { token } = accountOf(sandbox, 0);
    const url = `${sandbox.instagramUrl}/${handPicked("502")}?${fields}`;
    expect((await ask(url, token)).status).toBe(500);
    expect((await ask(url, token)).status).toBe(200);
    const person = personOf(sandbox, 0, 3);
    sandbox.setTrouble(person.id, "no_consent");
    expect((await ask(`${sandbox.instagramUrl}/${person.id}?${fields}`, token)).body.error.code).toBe(230);
    sandbox.setTrouble(person.id, null);
    expect((await ask(`${sandbox.instagramUrl}/${person.id}?${fields}`, token)).status).toBe(200);
    sandbox.setAccountTrouble(0, "token_dead");
    expect((await ask(`${sandbox.instagramUrl}/${person.id}?${fields}`, token)).body.error.code).toBe(190);
  });
});

describe("openSandbox() tokens, proofs and versions", () => {
  test("openSandbox() tells missing, wrong and foreign tokens apart", async () => {
    await using box = await openTestSandbox();
    const { instagramUrl, facebookUrl } = box.sandbox;
    const path = `/v26.0/${personOf(box.sandbox, 0, 0).id}?${fields}`;
    expect((await ask(instagramUrl + path)).body.error).toMatchObject({ code: 2500, type: "OAuthException" });
    expect((await ask(instagramUrl + path, "IGAAwrong")).body.error.code).toBe(190);
    expect((await ask(facebookUrl + path, accountOf(box.sandbox, 0).token)).body.error.code).toBe(190);
    expect((await ask(instagramUrl + path, accountOf(box.sandbox, 1).token)).body.error.code).toBe(190);
  });

  test("openSandbox() refuses an unknown version as Meta does, and takes the living ones and none", async () => {
    await using box = await openTestSandbox();
    const unknown = await ask(`${box.sandbox.instagramUrl}/v99.0/me`);
    expect(unknown.body.error.code).toBe(2500);
    expect(unknown.body.error.message).toContain("Unknown path components");
    expect((await ask(`${box.sandbox.instagramUrl}/v26.0/me`)).body.error.message).toContain(
      "An active access token must be used",
    );
    for (const version of ["/v26.0", "/v25.0", "/v21.0", ""]) {
      const { status } = await ask(
        `${box.sandbox.instagramUrl}${version}/me?fields=user_id`,
        accountOf(box.sandbox, 0).token,
      );
      expect(status).toBe(200);
    }
    expect((await ask(`${box.sandbox.instagramUrl}/v20.0/me`, accountOf(box.sandbox, 0).token)).status).toBe(400);
  });

  test("openSandbox() refuses a missing and a wrong appsecret_proof on graph.facebook.com with code 100", async () => {
    await using box = await openTestSandbox({ requireProof: true });
    const { token } = accountOf(box.sandbox, 1);
    const url = `${box.sandbox.facebookUrl}/v26.0/${personOf(box.sandbox, 1, 0).id}?${fields}`;
    const missing = await ask(url, token);
    expect(missing.body.error).toMatchObject({ code: 100, type: "GraphMethodException" });
    expect(missing.body.error.message).toContain("require an appsecret_proof");
    const wrong = await ask(`${url}&appsecret_proof=${"0".repeat(64)}`, token);
    expect(wrong.body.error).toMatchObject({ code: 100, type: "GraphMethodException" });
    expect(wrong.body.error.message).toContain("Invalid appsecret_proof");
    const proof = createHmac("sha256", "test_app_secret").update(token).digest("hex");
    expect((await ask(`${url}&appsecret_proof=${proof}`, token)).status).toBe(200);
  });

  test("openSandbox() refuses ?ids= on both hosts", async () => {
    await using box = await openTestSandbox();
    for (const [index, url] of [box.sandbox.instagramUrl, box.sandbox.facebookUrl].entries()) {
      const ids = `${personOf(box.sandbox, index, 0).id},${personOf(box.sandbox, index, 1).id}`;
      const { status, body } = await ask(`${url}/v26.0/?ids=${ids}&${fields}`, accountOf(box.sandbox, index).token);
      expect([status, body.error.code]).toEqual([400, 100]);
    }
  });
});
