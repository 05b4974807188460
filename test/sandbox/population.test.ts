import { describe, expect, test } from "bun:test";
import { createPopulation } from "../../src/sandbox/population.ts";
import { accountOf, ask, openTestSandbox } from "./open-test-sandbox.ts";

const million = 1_000_000;
const options = { seed: 5, accounts: 2, people: million, troubleShare: 0.1 };

describe("createPopulation()", () => {
  test("createPopulation() makes the same person for the same place, whoever was asked for before", () => {
    const forward = createPopulation({ ...options, account: 0 });
    const backward = createPopulation({ ...options, account: 0 });
    const places = Array.from({ length: 1_000 }, (_, n) => n * 997);
    const people = places.map((at) => forward.at(at));
    expect(places.toReversed().map((at) => backward.at(at))).toEqual(people.toReversed());
  });

  test("createPopulation() finds a person's place by their id, and nobody by anybody else's", () => {
    const [one, other] = [0, 1].map((account) => createPopulation({ ...options, account }));
    if (one === undefined || other === undefined) throw new Error("there are two");
    for (const at of [0, 1, 499_999, million - 1, ...Array.from({ length: 500 }, (_, n) => n * 1_999)]) {
      const { id } = one.at(at);
      expect(one.indexOf(id)).toBe(at);
      expect(other.indexOf(id)).toBeNull();
      const lead = id[0] === "2" ? "3" : "2";
      expect(one.indexOf(`${lead}${id.slice(1)}`)).toBeNull();
    }
    const beyond = createPopulation({ ...options, account: 0, people: million + 1 }).at(million).id;
    for (const id of [beyond, "", "0", "2", "17841400000000001", "9990000000000230", "2".repeat(40), "2e15", " 2"])
      expect(one.indexOf(id)).toBeNull();
  });

  test("createPopulation() serves a list of a million, to its last page, and anybody's profile", async () => {
    await using box = await openTestSandbox({ people: million });
    const { population, pageId, token } = accountOf(box.sandbox, 1);
    const cursor = Buffer.from(`rest:${million - 51}:${million - 51}:0`).toString("base64url");
    const list = `${box.sandbox.facebookUrl}/v26.0/${pageId}/conversations?platform=instagram&fields=participants&limit=50`;
    const { body } = await ask(`${list}&after=QVFI${cursor}`, token);
    const last = population.at(million - 1);
    expect(body.data).toHaveLength(50);
    expect(body.data[49].participants.data[1]).toEqual({ id: last.id, username: last.username });
    expect(body.paging.next).toBeUndefined();
    const profile = await ask(`${box.sandbox.facebookUrl}/v26.0/${last.id}?fields=username`, token);
    expect(profile.body).toEqual({ id: last.id, username: last.username });
  });
});
