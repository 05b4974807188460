/** Row 43: signatures that are missing, mutated, shortened, doubled, stolen from another body. None opens the door. */
import { type Chance, createChance, hash } from "../chance.ts";
import { appSecret, openRig } from "../rig.ts";
import type { Scenario } from "../scenario.ts";
import { buildStranger, buildStrangerBody, sendMany, strangerAccount } from "./hostile-kit.ts";

const lanes = 16;
const secretBefore = "the_secret_before";
const printable = Array.from({ length: 94 }, (_, at) => String.fromCharCode(33 + at)).join("");
const hexDigits = "0123456789abcdef";

export const hostileSignatures: Scenario = {
  name: "hostile-signatures",
  fault: "signatures absent, mutated, shortened, doubled, in other letters, of another body or secret",
  rows: [43],
  cycles: { short: 2_000, long: 100_000 },
  timeoutMs: 60_000,
  async run({ cycles, seed, signal }) {
    const chance = createChance(hash(seed, 43));
    await using rig = await openRig({ seed, env: { META_APP_SECRET: `${appSecret},${secretBefore}` } });
    await rig.daemon.start();
    const { port, url } = rig.daemon;
    const broken: string[] = [];
    const load = rig.sender.start({ lanes: 2, perSecond: 50, next: rig.order.next });

    // The answer tells nothing about what was wrong: every refusal is the same one.
    const body = buildStrangerBody([buildStranger("signed")]);
    const texts = new Set<string>();
    for (const [what, headers] of nameForgeries(body)) {
      const response = await fetch(`${url}/webhooks/instagram`, { method: "POST", body, headers });
      if (response.status !== 401) broken.push(`A signature that is ${what} got ${response.status}, not 401`);
      texts.add(await response.text());
    }
    if (texts.size !== 1) broken.push(`Refusals differ: ${[...texts].join(" | ")}`);

    let made = 0;
    const statuses = new Map<number, number>();
    const startMs = performance.now();
    await sendMany({
      port,
      lanes,
      next: () => {
        if (made >= cycles || signal.aborted) return null;
        made += 1;
        const forged = buildStrangerBody([buildStranger(`forged-${made}`)]);
        return { bytes: forge(forged, port, chance) };
      },
      onAnswer: ({ status }) => {
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
      },
    });
    const seconds = (performance.now() - startMs) / 1000;
    if (statuses.get(401) !== made) broken.push(`Forged signatures were answered ${JSON.stringify([...statuses])}`);
    const stored = await rig.sql<{ count: number }[]>`
      select (select count(*) from events where account_id = ${strangerAccount})::int
        + (select count(*) from quarantine)::int as count`;
    const accepted = stored[0]?.count ?? 0;
    if (accepted > 0) broken.push(`${accepted} forged deliveries were stored`);

    // The other half of the promise: while secrets rotate, the old one is as good as the new one.
    for (const secret of [appSecret, secretBefore]) {
      const response = await fetch(`${url}/webhooks/instagram`, {
        method: "POST",
        body,
        headers: { "X-Hub-Signature-256": sign(body, secret) },
      });
      if (response.status !== 200) broken.push(`A right signature got ${response.status}`);
    }
    load.stopTaking();
    await load.acknowledged(30_000);
    await rig.sql`delete from events where account_id = ${strangerAccount}`;
    await rig.sql`delete from messages where account_id = ${strangerAccount}`;
    await rig.sql`delete from conversations where account_id = ${strangerAccount}`;
    const check = await rig.check();
    const notes = { "forged deliveries": made, accepted, "forged a second": Math.round(made / seconds) };
    return rig.result({ cycles: made, check, notes, broken });
  },
};

const sign = (body: Uint8Array, secret: string) =>
  `sha256=${new Bun.CryptoHasher("sha256", secret).update(body).digest("hex")}`;

/** Each kind of the matrix once, by its name. */
function nameForgeries(body: Buffer): [string, Record<string, string>][] {
  const right = sign(body, appSecret);
  const sha1 = `sha1=${new Bun.CryptoHasher("sha1", appSecret).update(body).digest("hex")}`;
  const name = "X-Hub-Signature-256";
  return [
    ["absent", {}],
    ["empty", { [name]: "" }],
    ["short", { [name]: right.slice(0, -1) }],
    ["long", { [name]: `${right}0` }],
    ["in capitals", { [name]: right.toUpperCase() }],
    ["named SHA256", { [name]: right.replace("sha256", "SHA256") }],
    ["without its name", { [name]: right.slice(7) }],
    ["sha1 only", { "X-Hub-Signature": sha1 }],
    ["sha1 under the name of the other", { [name]: sha1 }],
    ["two values", { [name]: `${right}, ${right}` }],
    ["of another secret", { [name]: sign(body, "another_secret") }],
    ["of another body", { [name]: sign(Buffer.concat([body, Buffer.from(" ")]), appSecret) }],
    ["all zeros", { [name]: `sha256=${"0".repeat(64)}` }],
  ];
}

/** A whole request whose signature is wrong, made of right ones. */
function forge(body: Buffer, port: number, chance: Chance): Buffer {
  const right = sign(body, chance.below(2) === 0 ? appSecret : secretBefore);
  const headers = forgeHeaders(right, body, chance);
  const head =
    `POST /webhooks/instagram HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Type: application/json\r\n` +
    `${headers.map((line) => `${line}\r\n`).join("")}Content-Length: ${body.length}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head, "latin1"), body]);
}

function forgeHeaders(right: string, body: Buffer, chance: Chance): string[] {
  const name = "X-Hub-Signature-256: ";
  const one = (value: string) => [`${name}${value}`];
  const at = chance.below(right.length);
  switch (chance.below(9)) {
    case 0: {
      const digits = [...right];
      for (let times = chance.between(1, 8); times > 0; times -= 1) {
        const place = 7 + chance.below(64);
        digits[place] = hexDigits[(hexDigits.indexOf(digits[place] ?? "") + 1) % 16] ?? "0";
      }
      const changed = digits.join("");
      return one(changed === right ? right.slice(1) : changed);
    }
    case 1: {
      const other = printable[chance.below(printable.length)] ?? "!";
      return one(`${right.slice(0, at)}${right[at] === other ? "" : other}${right.slice(at + 1)}`);
    }
    case 2:
      return one(right.slice(0, at));
    case 3:
      return one(`${right.slice(0, at)}${hexDigits[chance.below(16)]}${right.slice(at)}`);
    case 4:
      return one(`sha256=${Array.from({ length: 64 }, () => hexDigits[chance.below(16)]).join("")}`);
    case 5:
      return [`${name}${right}`, `${name}${right}`];
    case 6:
      return one(right.toUpperCase());
    case 7:
      return one(sign(body, `secret ${chance.below(2 ** 31)}`));
    default: {
      // Right for a body that differs in one bit.
      const changed = Buffer.from(body);
      const bit = chance.below(changed.length * 8);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      return one(sign(changed, appSecret));
    }
  }
}
