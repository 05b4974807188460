/**
 * The people and accounts of the box. Pure: the same options give the same world, to the last token, on every
 * machine. Ids and tokens look like Meta's (meta-platform.md §0.3, §0.4) and belong to nobody.
 */
import { assert } from "../lib/assert.ts";
import { createChance, hashText, mix } from "./chance.ts";
import { personalTroubles, readHandPickedTrouble, type SandboxTrouble } from "./trouble.ts";
import { firstNames, handleStems, lastNames } from "./wording.ts";

export type { SandboxTrouble } from "./trouble.ts";
export type SandboxLogin = "instagram" | "facebook";

export type SandboxPerson = {
  /** IGSID: 16 or 17 digits, scoped to the account. */
  id: string;
  username: string;
  /** `null`: set none; Graph leaves the field out. */
  name: string | null;
  hasPicture: boolean;
  trouble: SandboxTrouble | null;
};

export type SandboxAccount = {
  /** `17841…`, 17 digits: the id webhooks use in `entry.id`. */
  instagramId: string;
  /** The `id` of `/me` on graph.instagram.com, which no webhook ever shows. */
  appScopedId: string;
  username: string;
  login: SandboxLogin;
  pageId: string | null;
  token: string;
  people: readonly SandboxPerson[];
};

export type SandboxWorld = { seed: number; accounts: readonly SandboxAccount[] };

/** Two accounts of so many people fill about a gigabyte; more is a mistake. */
export const peopleMax = 2_000_000;
/** Enough to see every reason in a demonstration, too little to look broken. */
export const troubleShareDefault = 0.05;
const namelessShare = 0.08;
const picturelessShare = 0.12;
const logins = ["instagram", "facebook"] as const;
const base62 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/**
 * Makes a world of two accounts: 0 logs in through Instagram, 1 through a Facebook Page, each with `people` people.
 * `troubleShare` in [0, 1] of them carry a personal trouble.
 */
export function createWorld(options: { seed: number; people: number; troubleShare?: number }): SandboxWorld {
  const { seed, people, troubleShare = troubleShareDefault } = options;
  assert(Number.isSafeInteger(seed), `seed must be a whole number, got ${seed}`);
  assert(
    Number.isInteger(people) && people >= 0 && people <= peopleMax,
    `people must be 0 to ${peopleMax}, got ${people}`,
  );
  assert(troubleShare >= 0 && troubleShare <= 1, `troubleShare must be 0 to 1, got ${troubleShare}`);
  return { seed, accounts: logins.map((login, index) => createAccount(login, index, { seed, people, troubleShare })) };
}

function createAccount(
  login: SandboxLogin,
  index: number,
  options: { seed: number; people: number; troubleShare: number },
): SandboxAccount {
  const chance = createChance(mix(options.seed, index + 1));
  const digits = (count: number) => Array.from({ length: count }, () => chance.below(10)).join("");
  const letters = (count: number) => Array.from({ length: count }, () => base62[chance.below(base62.length)]).join("");
  return {
    instagramId: `17841${digits(12)}`,
    appScopedId: `2${chance.below(10)}9${digits(14)}`,
    username: index === 0 ? "sandbox.shop" : "sandbox_cafe",
    login,
    pageId: login === "facebook" ? `1${digits(14)}` : null,
    token: login === "facebook" ? `EAA${letters(160)}` : `IGAA${letters(150)}`,
    people: Array.from({ length: options.people }, (_, at) =>
      createPerson(mix(options.seed, at * logins.length + index), at * logins.length + index, options),
    ),
  };
}

function createPerson(seed: number, serial: number, options: { seed: number; troubleShare: number }): SandboxPerson {
  const chance = createChance(seed);
  // An odd factor makes this one-to-one over 32 bits: ids are unique without a set of a million entries.
  const unique = String((Math.imul(serial + 0x3c6ef372, 0x9e3779b1) + mix(options.seed, 0)) >>> 0).padStart(10, "0");
  // 2…8 leads, so an id is neither an account (17841…) nor chosen by hand (999…). Half of them are beyond 2^53.
  const lead = `${2 + chance.below(7)}${String(chance.below(1e6))
    .padStart(chance.next() < 0.5 ? 5 : 6, "0")
    .slice(-6)}`;
  const name = `${chance.pick(firstNames)} ${chance.pick(lastNames)}${chance.next() < 0.15 ? " ✨" : ""}`;
  return {
    id: `${lead}${unique}`,
    username: `${chance.pick(handleStems)}.${serial.toString(36)}`,
    name: chance.next() < namelessShare ? null : name,
    hasPicture: chance.next() >= picturelessShare,
    trouble: chance.next() < options.troubleShare ? chance.pick(personalTroubles) : null,
  };
}

/** The person behind an id that a tester chose by hand (the table is in trouble.ts), or `null`. */
export function createHandPickedPerson(id: string): SandboxPerson | null {
  const picked = readHandPickedTrouble(id);
  if (picked === null) return null;
  const chance = createChance(hashText(0, id));
  return {
    id,
    username: `hand.picked.${id.slice(3)}`,
    name: `${chance.pick(firstNames)} ${chance.pick(lastNames)}`,
    hasPicture: true,
    trouble: picked.trouble,
  };
}
