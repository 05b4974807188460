import type { createNamesBuffer } from "./names-buffer.ts";

/** `known`: nothing of it was new. */
export type PagesSaved = { readonly kind: "saved"; readonly known: boolean };
export const nothingSaved: PagesSaved = { kind: "saved", known: false };

/**
 * Calls `saveRead`, which saves what the buffer holds, once at a time and in order; in a long list it does so beside
 * whoever reads on. What a save answers that is not `saved` is handed on by the next call, and nothing is saved after it.
 * All that waits throws what `saveRead` throws.
 */
export function createNamesSaver<End extends { readonly kind: string }>(
  buffer: Pick<ReturnType<typeof createNamesBuffer>, "isDue" | "isAhead" | "isLong">,
  saveRead: () => Promise<End | PagesSaved>,
) {
  let underWay: Promise<End | PagesSaved> | null = null;
  const failed = new AbortController();
  const settle = async () => {
    const saved = (await underWay) ?? nothingSaved;
    if (saved.kind === "saved") underWay = null;
    return saved;
  };
  return {
    /** Fires where a save beside the reading fails or does not answer `saved`. */
    failed: failed.signal,
    /** Ends with the save under way, however that goes. */
    quiet: async (): Promise<void> => void (await underWay?.catch(() => {})),
    /** Saves all that was read. */
    async save() {
      const before = await settle();
      return before.kind === "saved" ? saveRead() : before;
    },
    /** Saves if it is time; answers when the next page may be read. */
    async saveDue() {
      const mayReadOn = underWay === null || !buffer.isAhead();
      if (!buffer.isDue() && mayReadOn) return nothingSaved;
      const before = await settle();
      if (before.kind !== "saved" || !buffer.isDue()) return before;
      if (!buffer.isLong()) return saveRead();
      underWay = saveRead();
      underWay.then(
        ({ kind }) => kind === "saved" || failed.abort(),
        () => failed.abort(),
      );
      return nothingSaved;
    },
  };
}
