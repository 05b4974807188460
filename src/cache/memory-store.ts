import { LRUCache } from "lru-cache";
import type { Clock } from "../lib/clock.ts";
import type { TextStore } from "./text-store.ts";

/** A store in this process: at most `entriesMax` values, the longest unused goes first, ends by the clock that was handed in. */
export function createMemoryStore({
  entriesMax,
  clock,
}: {
  readonly entriesMax: number;
  readonly clock: Pick<Clock, "monotonicMs">;
}): TextStore {
  const held = new LRUCache<string, { readonly text: string; readonly endsAtMs: number }>({ max: entriesMax });

  function read(key: string): string | null {
    const value = held.get(key);
    if (value === undefined) return null;
    if (value.endsAtMs > clock.monotonicMs()) return value.text;
    held.delete(key);
    return null;
  }

  return {
    name: "in this process",
    readMany: async (keys) => keys.map(read),
    writeMany: async (entries) => {
      const nowMs = clock.monotonicMs();
      for (const { key, text, ttlSeconds } of entries) held.set(key, { text, endsAtMs: nowMs + ttlSeconds * 1000 });
    },
    deleteMany: async (keys) => {
      for (const key of keys) held.delete(key);
    },
    listKeys: () => [...held.keys()],
    renew: () => {},
    [Symbol.asyncDispose]: async () => held.clear(),
  };
}
