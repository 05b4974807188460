import { describe, expect, test } from "bun:test";
import { readHandPickedTrouble, sandboxTroubles, troubleTable } from "../../src/sandbox/trouble.ts";
import { createHandPickedPerson, createWorld } from "../../src/sandbox/world.ts";

describe("createWorld()", () => {
  test("createWorld() gives the same world for the same seed and another for another", () => {
    const options = { seed: 42, people: 100, troubleShare: 0.3 };
    expect(JSON.stringify(createWorld(options))).toBe(JSON.stringify(createWorld(options)));
    expect(createWorld(options).accounts[0]?.token).not.toBe(createWorld({ ...options, seed: 43 }).accounts[0]?.token);
  });

  test("createWorld() makes an Instagram-Login account and a Page account with ids and tokens of Meta's form", () => {
    const [instagram, facebook] = createWorld({ seed: 1, people: 0 }).accounts;
    expect(instagram).toMatchObject({ login: "instagram", pageId: null });
    expect(facebook?.login).toBe("facebook");
    expect(instagram?.token).toMatch(/^IGAA[A-Za-z0-9]{100,}$/);
    expect(facebook?.token).toMatch(/^EAA[A-Za-z0-9]{100,}$/);
    for (const account of [instagram, facebook]) expect(account?.instagramId).toMatch(/^17841[0-9]{12}$/);
    expect(instagram?.appScopedId).not.toStartWith("17841");
    expect(facebook?.pageId).toMatch(/^[0-9]{15}$/);
  });

  test("createWorld() gives every person of both accounts an id and a username of their own", () => {
    const people = createWorld({ seed: 5, people: 20_000 }).accounts.flatMap((account) => account.people);
    expect(new Set(people.map(({ id }) => id)).size).toBe(40_000);
    expect(new Set(people.map(({ username }) => username)).size).toBe(40_000);
    expect(people.every(({ id }) => /^[2-8][0-9]{15,16}$/.test(id))).toBe(true);
    expect(people.some(({ id }) => BigInt(id) > BigInt(Number.MAX_SAFE_INTEGER))).toBe(true);
    expect(people.every(({ username }) => /^[a-z0-9._]{1,30}$/.test(username))).toBe(true);
  });

  test("createWorld() has people without a name, without a picture, and troubles by share", () => {
    const people = createWorld({ seed: 9, people: 2000, troubleShare: 0.2 }).accounts.flatMap(
      (account) => account.people,
    );
    const share = (matches: number) => matches / people.length;
    expect(share(people.filter(({ name }) => name === null).length)).toBeCloseTo(0.08, 1);
    expect(share(people.filter(({ hasPicture }) => !hasPicture).length)).toBeCloseTo(0.12, 1);
    expect(share(people.filter(({ trouble }) => trouble !== null).length)).toBeCloseTo(0.2, 1);
    expect(createWorld({ seed: 9, people: 500, troubleShare: 0 }).accounts[0]?.people.some((p) => p.trouble)).toBe(
      false,
    );
  });

  test("createWorld() refuses options out of range", () => {
    expect(() => createWorld({ seed: 1, people: -1 })).toThrow("people");
    expect(() => createWorld({ seed: 1, people: 1, troubleShare: 2 })).toThrow("troubleShare");
  });
});

describe("readHandPickedTrouble()", () => {
  test("readHandPickedTrouble() finds every trouble by its suffix, and no suffix stands twice", () => {
    const suffixes = sandboxTroubles.map((trouble) => troubleTable[trouble].suffix);
    expect(new Set(suffixes).size).toBe(suffixes.length);
    for (const trouble of sandboxTroubles) {
      expect(readHandPickedTrouble(`9990000000000${troubleTable[trouble].suffix}`)).toEqual({ trouble });
    }
  });

  test("readHandPickedTrouble() knows well people, and nobody outside the table", () => {
    expect(readHandPickedTrouble("9991234567890000")).toEqual({ trouble: null });
    expect(readHandPickedTrouble("9991234567890777")).toBeNull();
    expect(readHandPickedTrouble("1234567890123230")).toBeNull();
    expect(createHandPickedPerson("9990000000000230")?.trouble).toBe("no_consent");
  });
});
