import { expect, test } from "bun:test";
import { accountOf, ask, openTestSandbox, personOf } from "./open-test-sandbox.ts";

test("openSandbox() answers /me of Instagram Login with two ids, of which user_id is the webhooks' one", async () => {
  await using box = await openTestSandbox();
  const { token, instagramId, appScopedId, username } = accountOf(box.sandbox, 0);
  const { body } = await ask(`${box.sandbox.instagramUrl}/v26.0/me?fields=id,user_id,username`, token);
  expect(body).toEqual({ id: appScopedId, user_id: instagramId, username });
  expect((await ask(`${box.sandbox.instagramUrl}/v26.0/${instagramId}?fields=username`, token)).body.username).toBe(
    username,
  );
});

test("openSandbox() answers a Page's node with its Instagram account", async () => {
  await using box = await openTestSandbox();
  const { token, instagramId, pageId, username } = accountOf(box.sandbox, 1);
  for (const id of ["me", pageId]) {
    const { body } = await ask(
      `${box.sandbox.facebookUrl}/${id}?fields=instagram_business_account{id,username}`,
      token,
    );
    expect(body).toEqual({ instagram_business_account: { username, id: instagramId }, id: pageId });
  }
  expect((await ask(`${box.sandbox.facebookUrl}/me?fields=username`, token)).body.error.code).toBe(100);
});

test("openSandbox() refreshes an Instagram token that is a day old, and no younger one", async () => {
  await using box = await openTestSandbox();
  const { token } = accountOf(box.sandbox, 0);
  const refresh = (of: string) =>
    ask(`${box.sandbox.instagramUrl}/refresh_access_token?grant_type=ig_refresh_token&access_token=${of}`);
  const { body } = await refresh(token);
  expect(body).toEqual({ access_token: expect.stringMatching(/^IGAA/), token_type: "bearer", expires_in: 5_184_000 });
  expect(body.access_token).not.toBe(token);
  const me = `${box.sandbox.instagramUrl}/me?fields=user_id`;
  expect((await ask(me, body.access_token)).status).toBe(200);
  expect((await ask(me, token)).status).toBe(200);
  expect((await refresh(body.access_token)).status).toBe(400);
  box.manual.pass(86_400_000);
  expect((await refresh(body.access_token)).status).toBe(200);
  box.manual.pass(60 * 86_400_000);
  expect((await ask(me, body.access_token)).body.error).toMatchObject({ code: 190, error_subcode: 463 });
});

test("openSandbox() keeps subscriptions, and refuses messaging_seen on a Page", async () => {
  await using box = await openTestSandbox();
  const url = (index: number) =>
    `${index === 0 ? box.sandbox.instagramUrl : box.sandbox.facebookUrl}/v26.0/me/subscribed_apps`;
  const token = (index: number) => accountOf(box.sandbox, index).token;
  const fields = "subscribed_fields=messages,messaging_seen,messaging_postbacks";
  expect((await ask(url(1), token(1), { method: "POST", body: new URLSearchParams(fields) })).body.error.code).toBe(
    100,
  );
  expect((await ask(`${url(0)}?${fields}`, token(0), { method: "POST" })).body).toEqual({ success: true });
  const { body } = await ask(url(0), token(0));
  expect(body.data[0].subscribed_fields).toEqual(["messages", "messaging_seen", "messaging_postbacks"]);
  await ask(url(0), token(0), { method: "DELETE" });
  expect((await ask(url(0), token(0))).body).toEqual({ data: [] });
});

test("openSandbox() debugs Page tokens with an app token, and no Instagram token", async () => {
  await using box = await openTestSandbox({ requireProof: true });
  const debug = (input: string, by: string) =>
    ask(`${box.sandbox.facebookUrl}/v26.0/debug_token?input_token=${input}&access_token=${encodeURIComponent(by)}`);
  const { token, pageId } = accountOf(box.sandbox, 1);
  const { body } = await debug(token, "1000000000000001|test_app_secret");
  expect(body.data).toMatchObject({ is_valid: true, expires_at: 0, profile_id: pageId });
  expect((await debug("EAAgone", "1000000000000001|test_app_secret")).body.data.is_valid).toBe(false);
  expect((await debug(accountOf(box.sandbox, 0).token, "1000000000000001|test_app_secret")).body.error.code).toBe(100);
  expect((await debug(token, "1000000000000001|wrong")).body.error.code).toBe(190);
});

test("openSandbox() refuses unsupported methods and paths with 100/33", async () => {
  await using box = await openTestSandbox();
  const { token } = accountOf(box.sandbox, 0);
  const refused = [
    await ask(`${box.sandbox.instagramUrl}/${personOf(box.sandbox, 0, 0).id}`, token, { method: "POST" }),
    await ask(`${box.sandbox.instagramUrl}/me/insights`, token),
    await ask(`${box.sandbox.instagramUrl}/nonsense`, token),
    await ask(`${box.sandbox.instagramUrl}/`, token),
  ];
  for (const { body } of refused) expect(body.error).toMatchObject({ code: 100, error_subcode: 33 });
});
