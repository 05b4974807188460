/** Names offered as "did you mean". */
const nearestMax = 3;
/** Compared at most this far: beyond it a word is nobody's typing mistake, and the table grows with its square. */
const lengthComparedMax = 128;

/** Letters to insert, delete, replace or swap to get from `a` to `b` (optimal string alignment). */
export function editDistance(a: string, b: string): number {
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const same = a[row - 1] === b[column - 1];
      let best = Math.min(
        (previous[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (previous[column - 1] ?? 0) + (same ? 0 : 1),
      );
      const swapped = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      if (swapped) best = Math.min(best, (beforePrevious[column - 2] ?? 0) + 1);
      current.push(best);
    }
    beforePrevious = previous;
    previous = current;
  }
  return previous[b.length] ?? 0;
}

/** Those of `known` that `word` may have meant, nearest first: at most a third of the letters wrong, or a beginning. */
export function nearest(word: string, known: readonly string[]): string[] {
  const typed = word.toLowerCase().slice(0, lengthComparedMax);
  if (typed === "") return [];
  return known
    .map((name) => {
      const plain = name.toLowerCase().slice(0, lengthComparedMax);
      const distance = plain.startsWith(typed) && typed.length > 1 ? 0.5 : editDistance(typed, plain);
      return { name, distance, far: distance > Math.max(2, Math.ceil(plain.length / 3)) || distance >= plain.length };
    })
    .filter(({ far }) => !far)
    .sort((left, right) => left.distance - right.distance)
    .slice(0, nearestMax)
    .map(({ name }) => name);
}
