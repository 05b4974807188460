/**
 * Chance from a seed, for the fault harness: the same seed gives the same run.
 *
 *   const chance = createChance(seed);
 *   const waitMs = chance.between(50, 1500);
 *   hash(seed, 3, 7) % 100   // a number for a place, without a state
 */

/** A whole number in [0, 2^32) for a place: every bit of each argument counts. Pure. */
export function hash(a: number, b = 0, c = 0, d = 0): number {
  let h = 0x9e3779b9;
  h = stir(h ^ a);
  h = stir(h ^ b);
  h = stir(h ^ c);
  return stir(h ^ d) >>> 0;
}

function stir(value: number): number {
  let h = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return Math.imul(h ^ (h >>> 16), 0x27d4eb2f) ^ (h >>> 15);
}

export type Chance = ReturnType<typeof createChance>;

/** A stream of chance. `next()` is in [0, 1), `below(n)` in [0, n), `between(a, b)` in [a, b], whole numbers. */
export function createChance(seed: number) {
  let count = 0;
  const next = () => {
    count += 1;
    return hash(seed, count) / 2 ** 32;
  };
  return {
    next,
    below: (limit: number) => Math.floor(next() * limit),
    between: (min: number, max: number) => min + Math.floor(next() * (max - min + 1)),
  };
}
