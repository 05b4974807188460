import { expect, test } from "bun:test";
import { drawFace } from "../../src/sandbox/picture.ts";
import { accountOf, ask, openTestSandbox } from "./open-test-sandbox.ts";

async function openPicture(options: Parameters<typeof openTestSandbox>[0] = {}) {
  const box = await openTestSandbox(options);
  const { token, people } = accountOf(box.sandbox, 0);
  const person = people.find(({ hasPicture }) => hasPicture);
  const link = async () => {
    const { body } = await ask(`${box.sandbox.instagramUrl}/${person?.id}?fields=profile_pic`, token);
    return String(body.profile_pic);
  };
  return { box, person, link };
}

test("openSandbox() serves a generated face until oe, then answers 403 URL signature expired", async () => {
  const { box, link } = await openPicture({ pictureLifetimeMs: 3_600_000 });
  await using _ = box;
  const url = await link();
  const oe = new URL(url).searchParams.get("oe") ?? "";
  expect(oe).toMatch(/^[0-9A-F]{8}$/);
  expect(Number.parseInt(oe, 16) * 1000).toBe(box.manual.clock.nowMs() + 3_600_000);
  const face = await ask(url);
  expect([face.status, face.headers.get("Content-Type")]).toEqual([200, "image/svg+xml"]);
  expect(face.body).toStartWith("<svg xmlns=");
  box.manual.pass(3_600_000);
  const dead = await ask(url);
  expect([dead.status, dead.headers.get("Content-Type"), dead.body]).toEqual([
    403,
    "text/plain",
    "URL signature expired",
  ]);
});

test("openSandbox() gives another link to the same picture at each call", async () => {
  const { box, person, link } = await openPicture();
  await using _ = box;
  const [one, two] = [await link(), await link()];
  expect(one).not.toBe(two);
  expect(new URL(one).pathname).toBe(`/pictures/${person?.id}.svg`);
  expect(new URL(two).pathname).toBe(new URL(one).pathname);
  expect((await ask(one)).body).toBe((await ask(two)).body);
});

test("openSandbox() refuses links that were changed", async () => {
  const { box, link } = await openPicture();
  await using _ = box;
  const changed = async (change: (url: URL) => void) => {
    const url = new URL(await link());
    change(url);
    const { status, body } = await ask(url.href);
    return [status, body];
  };
  expect(await changed((url) => url.searchParams.delete("oe"))).toEqual([403, "Bad URL date param"]);
  expect(await changed((url) => url.searchParams.set("oe", "7FFFFFFF"))).toEqual([403, "URL signature mismatch"]);
  expect(await changed((url) => url.searchParams.delete("oh"))).toEqual([403, "URL signature mismatch"]);
});

test("drawFace() draws the same face for an id, and other faces for others", () => {
  expect(drawFace("1234567890123456")).toBe(drawFace("1234567890123456"));
  const faces = new Set(Array.from({ length: 200 }, (_, at) => drawFace(String(5_000_000_000_000_000 + at))));
  expect(faces.size).toBe(200);
});
