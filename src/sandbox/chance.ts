/**
 * Chance from a seed: the same seed, the same world. Nothing here is secret or strong; it only has to be
 * fast, spread well and repeat exactly on every machine.
 */

import { assert } from "../lib/assert.ts";

/** Mixes two 32-bit numbers into one (the finaliser of MurmurHash3): every input bit moves about half of the output. */
export function mix(seed: number, value: number): number {
  let hash = Math.imul(seed ^ (value + 0x9e3779b9), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  hash ^= hash >>> 16;
  hash = Math.imul(hash + (value | 0), 0x27d4eb2f);
  return (hash ^ (hash >>> 15)) >>> 0;
}

/** A 32-bit number that a text and a seed always give (FNV-1a, then mixed). */
export function hashText(seed: number, text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return mix(seed, hash);
}

/** The item of a list that is known to have it; the index wraps around. */
export function pickAt<T>(list: readonly T[], index: number): T {
  assert(list.length > 0, "there is nothing to pick from");
  return list[index % list.length] as T; // The compiler cannot know that the index is in range.
}

export type Chance = ReturnType<typeof createChance>;

/** A row of numbers from a seed (mulberry32). */
export function createChance(seed: number) {
  let state = mix(seed, 0x51ed270b);
  /** A number in [0, 1). */
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let value = Math.imul(state ^ (state >>> 15), state | 1);
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61);
    return ((value ^ (value >>> 14)) >>> 0) / 4294967296;
  };
  /** A whole number in [0, limit). */
  const below = (limit: number): number => Math.floor(next() * limit);
  const pick = <T>(list: readonly T[]): T => pickAt(list, below(list.length));
  /** The same items in another order (Fisher–Yates), in a new list. */
  const shuffle = <T>(list: readonly T[]): T[] => {
    const shuffled = [...list];
    for (let last = shuffled.length - 1; last > 0; last -= 1) {
      const other = below(last + 1);
      const held = pickAt(shuffled, last);
      shuffled[last] = pickAt(shuffled, other);
      shuffled[other] = held;
    }
    return shuffled;
  };
  return { next, below, pick, shuffle };
}
