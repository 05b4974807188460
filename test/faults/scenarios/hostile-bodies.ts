/** A million bodies that are signed and wrong: every shape of Meta's, mutated as JSON and as bytes. */
import { readMemoryBytes } from "../../bench/process-usage.ts";
import shapes from "../../fixtures/event-shapes.json" with { type: "json" };
import { type Chance, createChance, hash } from "../chance.ts";
import { openRig } from "../rig.ts";
import type { Scenario } from "../scenario.ts";
import { buildRequest } from "../sender.ts";
import { removeStrangers, sendMany } from "./hostile-kit.ts";

const lanes = 96;
/** After so many the tables are compared and emptied, so that a million of them need no disk. */
const bodiesPerLook = 25_000;
/** What the process may grow by between the first look and the last: its heap breathes by some 20 MB. */
const growthBytesMax = 64 * 1024 * 1024;
const memoryBytesMax = 256 * 1024 * 1024;

export const hostileBodies: Scenario = {
  name: "hostile-bodies",
  fault: "signed bodies of every shape, mutated as JSON and as bytes",
  rows: [42, 45],
  cycles: { short: 5_000, long: 1_000_000 },
  timeoutMs: 90_000,
  async run({ cycles, seed, signal, say }) {
    const chance = createChance(hash(seed, 61));
    await using rig = await openRig({ seed });
    await rig.daemon.start();
    const { port, url, pid } = rig.daemon;
    const declared = await readDeclared(url);
    const broken: string[] = [];
    const load = rig.sender.start({ lanes: 2, perSecond: 50, next: rig.order.next });
    const statuses = new Map<number, number>();
    const memory: number[] = [];
    let made = 0;
    let unreadable = 0;
    let sendingMs = 0;

    while (made < cycles && !signal.aborted) {
      const until = Math.min(cycles, made + bodiesPerLook);
      const hashes = new Set<string>();
      const startMs = performance.now();
      await sendMany({
        port,
        lanes,
        next: () => {
          if (made >= until || signal.aborted) return null;
          made += 1;
          const body = mutateBody(chance);
          return { bytes: buildRequest(body, { port, secret: rig.appSecret }), body };
        },
        onAnswer: ({ status }, { body }) => {
          statuses.set(status, (statuses.get(status) ?? 0) + 1);
          if (status === 200 && !isJson(body)) hashes.add(new Bun.CryptoHasher("sha256").update(body).digest("hex"));
        },
      });
      sendingMs += performance.now() - startMs;
      memory.push(readMemoryBytes(pid).now);
      // What could not be read at all was answered 200 too: then it is in quarantine, byte for byte.
      await rig.settle();
      const [row] = await rig.sql<{ count: number }[]>`
        select count(*)::int as count from quarantine where body_hash in
          (select jsonb_array_elements_text(${JSON.stringify([...hashes])}::text::jsonb))`;
      unreadable += hashes.size;
      if (row?.count !== hashes.size)
        broken.push(`Of ${hashes.size} acknowledged bodies that are no JSON, quarantine holds ${row?.count}`);
      await removeStrangers(rig.sql, rig.plan);
      if (until < cycles) say(`${made} bodies, ${Math.round((made / sendingMs) * 1000)} a second`);
    }

    for (const [status, count] of statuses)
      if (!declared.has(status)) broken.push(`${count} answers of ${status}, which /openapi.json does not declare`);
    const [first = 0, last = 0] = [memory[0], memory.at(-1)];
    if (Math.max(...memory) > memoryBytesMax) broken.push(`Memory rose to ${toMb(Math.max(...memory))} MB`);
    if (last - first > growthBytesMax) broken.push(`Memory grew from ${toMb(first)} to ${toMb(last)} MB`);
    load.stopTaking();
    await load.acknowledged(30_000);
    await rig.settle();
    await removeStrangers(rig.sql, rig.plan);
    const check = await rig.check();
    const notes = {
      "bodies sent": made,
      "no JSON at all": unreadable,
      "answered 200": statuses.get(200) ?? 0,
      "answered otherwise": made - (statuses.get(200) ?? 0),
      "bodies a second": Math.round((made / sendingMs) * 1000),
      "memory at the end, MB": toMb(last),
    };
    return rig.result({ cycles: made, check, notes, broken });
  },
};

const toMb = (bytes: number) => Math.round(bytes / 2 ** 20);

/** The statuses that the API's own document names for a delivery. */
async function readDeclared(url: string): Promise<Set<number>> {
  const document = (await (await fetch(`${url}/openapi.json`)).json()) as {
    paths: Record<string, { post?: { responses: Record<string, unknown> } }>;
  };
  const responses = document.paths["/webhooks/instagram"]?.post?.responses;
  if (responses === undefined) throw new Error("Cannot find the webhook in /openapi.json");
  return new Set(Object.keys(responses).map(Number));
}

const utf8 = new TextDecoder("utf-8", { fatal: true });

function isJson(body: Uint8Array): boolean {
  try {
    JSON.parse(utf8.decode(body));
    return true;
  } catch {
    return false;
  }
}

const templates: readonly unknown[] = Object.values(shapes);
const odd: readonly unknown[] = [
  ...[null, 0, -1, 1e300, 2 ** 53 + 2, 1.5, true, "", "0", "\u0000", "\ud800", "\u202e", "__proto__", "toString"],
  ...[[], {}, [[]], [null], { id: 7 }, { id: { id: 1 } }, "x".repeat(3_000), "9".repeat(40), "2026-13-45T99:99:99Z"],
];

/** One of Meta's shapes with one to four places changed; every third one damaged as bytes too. */
function mutateBody(chance: Chance): Buffer {
  let value = templates[chance.below(templates.length)];
  for (let times = chance.between(1, 4); times > 0; times -= 1) value = mutate(value, chance);
  // Shapes share their message ids: some of the changed ones are new to the tables, as most of what comes is.
  const text = JSON.stringify(value ?? null).replaceAll('"m1"', `"m${chance.below(2 ** 31)}"`);
  const body = Buffer.from(text, "utf8");
  if (chance.below(3) !== 0) return body;
  const at = chance.below(body.length);
  switch (chance.below(5)) {
    case 0:
      return body.subarray(0, at);
    case 1:
      body[at] = chance.below(256);
      return body;
    case 2:
      return Buffer.concat([body.subarray(0, at), Buffer.from([0xff, chance.below(256), 0xc0]), body.subarray(at)]);
    case 3:
      return Buffer.concat([body.subarray(0, at), Buffer.alloc(chance.between(1, 60), "["), body.subarray(at)]);
    default:
      return Buffer.concat([body, body.subarray(at)]);
  }
}

function mutate(value: unknown, chance: Chance): unknown {
  if (Array.isArray(value) && value.length > 0 && chance.next() < 0.85) {
    const at = chance.below(value.length);
    const copy: unknown[] = [...value];
    if (chance.next() < 0.2) copy.splice(at, 0, copy[at]);
    else copy[at] = mutate(copy[at], chance);
    return copy;
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value) && chance.next() < 0.9) {
    const entries = Object.entries(value);
    const at = chance.below(entries.length);
    const [name, held] = entries[at] ?? ["", null];
    const draw = chance.below(10);
    if (draw === 0) entries.splice(at, 1);
    else if (draw === 1) entries.push([chance.below(2) === 0 ? "__proto__" : `${name} `, held]);
    else entries[at] = [name, mutate(held, chance)];
    return Object.fromEntries(entries);
  }
  return odd[chance.below(odd.length)];
}
