import { describe, expect, test } from "bun:test";
import { eventKinds } from "../../src/domain/event.ts";
import { parseWebhook } from "../../src/webhook/parse-webhook.ts";
import shapes from "../fixtures/event-shapes.json" with { type: "json" };

const seed = Number(process.env.PROPERTY_SEED ?? Math.floor(Math.random() * 2 ** 31));
const rounds = 20_000;

function createChance(from: number) {
  let state = from || 1;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

const odd: readonly unknown[] = [
  null,
  0,
  -1,
  1e300,
  Number.MAX_SAFE_INTEGER * 3,
  "",
  "0",
  "\u0000",
  "\ud800",
  [],
  {},
  [[]],
  true,
  "x".repeat(3_000),
  { id: 7 },
];

/** Changes one place of a value: drops it, doubles it, or puts something odd there. */
function mutate(value: unknown, chance: () => number): unknown {
  if (Array.isArray(value) && value.length > 0 && chance() < 0.8) {
    const at = Math.floor(chance() * value.length);
    const copy = [...value];
    if (chance() < 0.2) copy.splice(at, 0, copy[at]);
    else copy[at] = mutate(copy[at], chance);
    return copy;
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value) && chance() < 0.85) {
    const entries = Object.entries(value);
    const at = Math.floor(chance() * entries.length);
    if (chance() < 0.1) entries.splice(at, 1);
    else if (entries[at] !== undefined) entries[at] = [entries[at][0], mutate(entries[at][1], chance)];
    return Object.fromEntries(entries);
  }
  return odd[Math.floor(chance() * odd.length)];
}

describe(`parseWebhook() on mutated deliveries (again with PROPERTY_SEED=${seed})`, () => {
  test(`never throws, and what it makes can be stored, ${rounds} times`, () => {
    const chance = createChance(seed);
    const bodies = Object.values(shapes);
    for (let round = 0; round < rounds; round++) {
      let body: unknown = bodies[Math.floor(chance() * bodies.length)];
      for (let times = 0; times < 3; times++) body = mutate(body, chance);
      let text = JSON.stringify(body);
      if (chance() < 0.1) text = text.slice(0, Math.floor(chance() * text.length));
      const { events, quarantined } = parseWebhook(Buffer.from(text, "utf8"), 1_763_000_000_000);
      for (const event of events) {
        expect(eventKinds).toContain(event.kind);
        expect(event.eventKey.length).toBeLessThan(600);
        expect(text).toContain(event.raw);
        expect(Number.isSafeInteger(event.occurredAtMs)).toBe(true);
        const shown = JSON.stringify("text" in event ? event.text : "");
        expect(shown).not.toContain("\\u0000");
        expect(shown).not.toContain("\\ud8");
      }
      for (const { raw } of quarantined) expect(raw.length).toBeGreaterThanOrEqual(0);
    }
  }, 60_000);

  test("every item comes out as an event or in quarantine, none is lost", () => {
    const chance = createChance(seed + 1);
    for (let round = 0; round < 2_000; round++) {
      const items = Array.from({ length: 1 + Math.floor(chance() * 6) }, () =>
        mutate({ sender: { id: "1" }, recipient: { id: "2" }, message: { mid: `m${chance()}` } }, chance),
      );
      const body = Buffer.from(
        JSON.stringify({ object: "instagram", entry: [{ id: "2", time: 1, messaging: items }] }),
      );
      const { events, quarantined } = parseWebhook(body, 1);
      expect(events.length + quarantined.length).toBe(items.length);
    }
  }, 60_000);
});
