/**
 * The people of one account, made when they are asked for and never kept: a million of them cost no memory and no start.
 * The same options give the same people, and an id leads back to whose it is.
 */
import { createChance, mix } from "./chance.ts";
import { personalTroubles, type SandboxTrouble } from "./trouble.ts";
import { firstNames, handleStems, lastNames } from "./wording.ts";

export type SandboxPerson = {
  /** IGSID: 16 or 17 digits, scoped to the account. */
  readonly id: string;
  readonly username: string;
  /** `null`: set none; Graph leaves the field out. */
  readonly name: string | null;
  readonly hasPicture: boolean;
  readonly trouble: SandboxTrouble | null;
};

export type PopulationOptions = {
  readonly seed: number;
  /** Which account it is of how many: no two share a person. */
  readonly account: number;
  readonly accounts: number;
  readonly people: number;
  /** Share of them, in [0, 1], with a personal trouble. */
  readonly troubleShare: number;
};

export type SandboxPopulation = ReturnType<typeof createPopulation>;

const namelessShare = 0.08;
const picturelessShare = 0.12;
/** Where a person's number stands in the id: in its last digits, as many as 32 bits need. */
const numberDigits = 10;
/** An odd factor makes the step from serial to number one-to-one over 32 bits: ids are unique without a set of them all. */
const factor = 0x9e3779b1;
/** Undoes it: `factor * inverse` is 1 modulo 2^32. */
const inverse = 0x0e8b2f51;
const serialOffset = 0x3c6ef372;
const idPattern = /^[2-8][0-9]{15,16}$/;

/** Makes the population of one account: pure, and as quick for a million as for one. */
export function createPopulation({ seed, account, accounts, people, troubleShare }: PopulationOptions) {
  const numberOffset = mix(seed, 0);
  const serialOf = (index: number): number => index * accounts + account;

  const make = (index: number): SandboxPerson => {
    const serial = serialOf(index);
    const chance = createChance(mix(seed, serial));
    const number = (Math.imul(serial + serialOffset, factor) + numberOffset) >>> 0;
    // 2…8 leads, so an id is neither an account (17841…) nor chosen by hand (999…). Half of them are beyond 2^53.
    const lead = `${2 + chance.below(7)}${String(chance.below(1e6))
      .padStart(chance.next() < 0.5 ? 5 : 6, "0")
      .slice(-6)}`;
    const name = `${chance.pick(firstNames)} ${chance.pick(lastNames)}${chance.next() < 0.15 ? " ✨" : ""}`;
    return {
      id: `${lead}${String(number).padStart(numberDigits, "0")}`,
      username: `${chance.pick(handleStems)}.${serial.toString(36)}`,
      name: chance.next() < namelessShare ? null : name,
      hasPicture: chance.next() >= picturelessShare,
      trouble: chance.next() < troubleShare ? chance.pick(personalTroubles) : null,
    };
  };

  // A call asks for one person several times in a row.
  let latest: { readonly index: number; readonly person: SandboxPerson } | null = null;
  /** The person at a place from 0 up to `count`, without `count`. */
  const at = (index: number): SandboxPerson => {
    if (latest?.index !== index) latest = { index, person: make(index) };
    return latest.person;
  };

  return {
    count: people,
    at,
    /** The place of the person with this id; `null`: nobody of this account has it. */
    indexOf: (id: string): number | null => {
      if (!idPattern.test(id)) return null;
      const number = Number(id.slice(-numberDigits));
      const serial = (Math.imul(number - numberOffset, inverse) - serialOffset) >>> 0;
      const index = (serial - account) / accounts;
      if (!Number.isInteger(index) || index < 0 || index >= people) return null;
      // The digits in front are the person's own too.
      return at(index).id === id ? index : null;
    },
  };
}
