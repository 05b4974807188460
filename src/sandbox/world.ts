/**
 * The people and accounts of the box. Pure: the same options give the same world, to the last token, on every
 * machine. Ids and tokens look like Meta's (meta-platform.md §0.3, §0.4) and belong to nobody.
 */
import { assert } from "../lib/assert.ts";
import { createChance, hashText, mix } from "./chance.ts";
import { createPopulation, type SandboxPerson, type SandboxPopulation } from "./population.ts";
import { readHandPickedTrouble } from "./trouble.ts";
import { firstNames, lastNames } from "./wording.ts";

export type { SandboxPerson } from "./population.ts";
export type { SandboxTrouble } from "./trouble.ts";
export type SandboxLogin = "instagram" | "facebook";

export type SandboxAccount = {
  /** `17841…`, 17 digits: the id webhooks use in `entry.id`. */
  instagramId: string;
  /** The `id` of `/me` on graph.instagram.com, which no webhook ever shows. */
  appScopedId: string;
  username: string;
  login: SandboxLogin;
  pageId: string | null;
  token: string;
  /** Its people one by one, without a list of them. */
  population: SandboxPopulation;
  /** All of them; made at the first look, and kept from then on. */
  readonly people: readonly SandboxPerson[];
};

export type SandboxWorld = { seed: number; accounts: readonly SandboxAccount[] };

/** The box keeps nobody; but who looks at all of two accounts' people at once needs about a gigabyte. More is a mistake. */
export const peopleMax = 2_000_000;
/** Enough to see every reason in a demonstration, too little to look broken. */
export const troubleShareDefault = 0.05;
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
  const population = createPopulation({ ...options, account: index, accounts: logins.length });
  let people: SandboxPerson[] | null = null;
  return {
    instagramId: `17841${digits(12)}`,
    appScopedId: `2${chance.below(10)}9${digits(14)}`,
    username: index === 0 ? "sandbox.shop" : "sandbox_cafe",
    login,
    pageId: login === "facebook" ? `1${digits(14)}` : null,
    token: login === "facebook" ? `EAA${letters(160)}` : `IGAA${letters(150)}`,
    population,
    get people() {
      people ??= Array.from({ length: population.count }, (_, at) => population.at(at));
      return people;
    },
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
