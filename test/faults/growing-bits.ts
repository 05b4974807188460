/** A set of whole numbers from 0 on, one bit each: a million members are 125 kB. Grows by itself. */
export type GrowingBits = ReturnType<typeof createGrowingBits>;

export function createGrowingBits() {
  let bytes = new Uint8Array(1024);
  let count = 0;
  const has = (place: number) => ((bytes[place >>> 3] ?? 0) & (1 << (place & 7))) !== 0;
  return {
    has,
    /** Answers whether it was new. */
    add(place: number): boolean {
      if (has(place)) return false;
      if (place >>> 3 >= bytes.length) {
        const larger = new Uint8Array(Math.max(bytes.length * 2, (place >>> 3) + 1));
        larger.set(bytes);
        bytes = larger;
      }
      bytes[place >>> 3] = (bytes[place >>> 3] ?? 0) | (1 << (place & 7));
      count += 1;
      return true;
    },
    size: () => count,
    *members(): Generator<number> {
      for (let at = 0; at < bytes.length; at += 1) {
        const byte = bytes[at] ?? 0;
        if (byte === 0) continue;
        for (let bit = 0; bit < 8; bit += 1) if ((byte & (1 << bit)) !== 0) yield at * 8 + bit;
      }
    },
  };
}
