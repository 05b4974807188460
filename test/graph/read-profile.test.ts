import { describe, expect, test } from "bun:test";
import { parseParticipantId } from "../../src/domain/ids.ts";
import { checkPictureUrl, readLoopbackOrigin } from "../../src/graph/check-picture-url.ts";
import { parseJson } from "../../src/graph/parse-json.ts";
import { readProfile } from "../../src/graph/read-profile.ts";

const id = parseParticipantId("1234567890123456");
if (id === null) throw new Error("not an id");
const context = { fetchedAtMs: 1_760_000_000_000, pictureOrigin: null };
const picture = "https://scontent-fra3-1.cdninstagram.com/v/t51.2885-19/x.jpg?oh=1&oe=6A1BE7E2";

function read(body: unknown) {
  const reading = readProfile(context, id ?? fail(), body);
  return reading.kind === "profile" ? reading.profile : reading.reason;
}
function fail(): never {
  throw new Error("no id");
}

describe("readProfile()", () => {
  test("reads a whole profile", () => {
    expect(readProfile(context, id, { id, name: "Jane", username: "jane.doe", profile_pic: picture })).toEqual({
      kind: "profile",
      pictureRefused: false,
      profile: {
        participantId: id,
        name: "Jane",
        username: "jane.doe",
        pictureUrl: picture,
        pictureExpiresAtMs: Date.parse("2026-05-31T07:48:50Z"),
        fetchedAtMs: context.fetchedAtMs,
      },
    });
  });

  test("takes missing, empty and odd fields for none", () => {
    const bare = { name: null, username: null, pictureUrl: null, pictureExpiresAtMs: null };
    for (const rest of [
      {},
      { name: "", username: null, profile_pic: "" },
      { name: 7, username: {}, profile_pic: [] },
    ]) {
      expect(read({ id, ...rest })).toMatchObject(bare);
    }
  });

  test("refuses another person's body, and one that says not whose it is", () => {
    expect(read({ id: "1234567890123457", name: "x" })).toBe("wrong_person");
    for (const body of [{ name: "x" }, "1234567890123456", null, [], 7, undefined, { id: null }, { id: {} }]) {
      expect(read(body)).toBe("bad_answer");
    }
  });

  test("keeps the digits of an id that came as a bare number", () => {
    const long = parseParticipantId("28978671838402975");
    if (long === null) throw new Error("not an id");
    expect(readProfile(context, long, parseJson('{"id":28978671838402975}')).kind).toBe("profile");
    expect(readProfile(context, long, parseJson('{"id":28978671838402976}')).kind).toBe("refused");
  });

  test("cleans names and keeps what is only foreign", () => {
    const names: Readonly<Record<string, string | null>> = {
      "a\0b\u0007c": "abc",
      "half \ud83d pair": "half \ufffd pair",
      "two\r\nlines": "two lines",
      "  \t ": null,
      "\u202eevil": "evil",
      "مرحبا 👨‍👩‍👧": "مرحبا 👨‍👩‍👧",
    };
    for (const [name, expected] of Object.entries(names)) expect(read({ id, name })).toMatchObject({ name: expected });
  });

  test("cuts a megabyte at the limit, between code points", () => {
    const reading = read({ id, name: `x${"😀".repeat(500_000)}` });
    const name = typeof reading === "string" ? null : reading.name;
    expect(name?.length).toBe(511);
    expect(name?.isWellFormed()).toBe(true);
  });

  test("drops a picture at a foreign address, keeps the name and says so", () => {
    const reading = readProfile(context, id, { id, name: "Jane", profile_pic: "https://evil.example/x.jpg" });
    expect(reading).toMatchObject({ pictureRefused: true, profile: { name: "Jane", pictureUrl: null } });
  });

  test("gives a picture without an expiry a day", () => {
    const reading = read({ id, profile_pic: "https://scontent.xx.fbcdn.net/x.jpg?oe=zz" });
    expect(reading).toMatchObject({ pictureExpiresAtMs: context.fetchedAtMs + 86_400_000 });
  });
});

describe("checkPictureUrl()", () => {
  const taken = [
    picture,
    "https://cdninstagram.com/x",
    "https://scontent.cdninstagram.com:443/x",
    "https://instagram.fhel3-1.fna.fbcdn.net/x?a=1&b=2&_nc_x=%2F",
    "https://platform-lookaside.fbsbx.com/platform/profilepic/?ext=1760000000&hash=AeQ",
  ];
  const refused = [
    "http://scontent.cdninstagram.com/x",
    "https://scontent.cdninstagram.com:8443/x",
    "https://user@scontent.cdninstagram.com/x",
    "https://user:pass@scontent.cdninstagram.com/x",
    "https://fbcdn.net.evil.com/x",
    "https://evilfbcdn.net/x",
    "https://fbcdn.net./x",
    "https://evil.com/.fbcdn.net",
    "https://evil.com#.fbcdn.net",
    "https://evil.com\\.fbcdn.net/x",
    "https://evil.com\t.fbcdn.net/x",
    " https://scontent.cdninstagram.com/x",
    "//scontent.cdninstagram.com/x",
    "javascript:alert(1)//.fbcdn.net",
    "data:image/png;base64,AA",
    "https://127.0.0.1/x",
    "http://127.0.0.1:4000/x",
    "",
    `https://scontent.cdninstagram.com/${"x".repeat(5000)}`,
  ];
  for (const url of taken) test(`takes ${url}`, () => expect(checkPictureUrl(url, null)).not.toBeNull());
  for (const url of refused) {
    test(`refuses ${JSON.stringify(url.slice(0, 60))}`, () => expect(checkPictureUrl(url, null)).toBeNull());
  }

  test("takes exactly the sandbox's origin beside Meta's", () => {
    const origin = readLoopbackOrigin("http://127.0.0.1:4000/graph");
    expect(origin).toBe("http://127.0.0.1:4000");
    expect(checkPictureUrl("http://127.0.0.1:4000/p.png", origin)?.url).toBe("http://127.0.0.1:4000/p.png");
    expect(checkPictureUrl("http://127.0.0.1:4001/p.png", origin)).toBeNull();
    expect(checkPictureUrl("http://a@127.0.0.1:4000/p.png", origin)).toBeNull();
    expect(readLoopbackOrigin("https://graph.instagram.com")).toBeNull();
    expect(readLoopbackOrigin("https://127.0.0.1.evil.com")).toBeNull();
  });

  test("reads oe and ext where they are sane", () => {
    const base = "https://x.fbcdn.net/p?";
    expect(checkPictureUrl(`${base}oe=66D54413`, null)?.expiresAtMs).toBe(Date.parse("2024-09-02T04:50:27Z"));
    expect(checkPictureUrl(`${base}ext=1760000000`, null)?.expiresAtMs).toBe(1_760_000_000_000);
    for (const odd of ["oe=6A1BE7E", "oe=00000001", "oe=FFFFFFFF", "ext=17600", "ext=9999999999", "oe="]) {
      expect(checkPictureUrl(base + odd, null)?.expiresAtMs).toBeNull();
    }
  });
});
