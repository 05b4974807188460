/** Keys, texts and an end for each: what the profile cache needs of a store. Calls may fail; the cache above copes. */
export type TextStore = AsyncDisposable & {
  readonly name: "redis" | "in this process";
  /** One answer a key, in order; null: nothing there. */
  readonly readMany: (keys: readonly string[]) => Promise<readonly (string | null)[]>;
  readonly writeMany: (entries: readonly StoredText[]) => Promise<void>;
  readonly deleteMany: (keys: readonly string[]) => Promise<void>;
  /** What this process itself holds; a store that is shared tells nothing. */
  readonly listKeys: () => readonly string[];
  /** Called when the store has stopped answering: it may let go of a connection that is only half there. */
  readonly renew: () => void;
};

/** `ttlSeconds` is whole and above 0. */
export type StoredText = { readonly key: string; readonly text: string; readonly ttlSeconds: number };
