/** Where a listing of an inbox stands between two pages. */
export type InboxPosition = {
  /** When the listing began, by the database's clock (ms since 1970). */
  readonly startedAtMs: number;
  /** Threads that the next page is asked for. */
  readonly pageSize: number;
  /** Some thread was left out, so not every conversation exists at the end. */
  readonly hasGaps: boolean;
  /** Instagram's own cursor; null: from the newest. */
  readonly after: string | null;
};

/** Threads a page, as far as Instagram takes it without trouble (meta-platform.md §7.2). Never more. */
export const pageSizeMax = 50;

/** Writes a position as the text that a run keeps. */
export function writeInboxCursor({ startedAtMs, pageSize, hasGaps, after }: InboxPosition): string {
  return `1.${Math.floor(startedAtMs)}.${pageSize}.${hasGaps ? 1 : 0}.${after ?? ""}`;
}

/** Reads what `writeInboxCursor()` wrote; null where the text is anything else, or a newer program's. */
export function parseInboxCursor(text: string): InboxPosition | null {
  const [, started, size, gaps, after] = /^1\.(\d{1,15})\.(\d{1,2})\.([01])\.(.*)$/s.exec(text) ?? [];
  if (started === undefined || after === undefined) return null;
  const pageSize = Number(size);
  if (pageSize < 1 || pageSize > pageSizeMax) return null;
  return { startedAtMs: Number(started), pageSize, hasGaps: gaps === "1", after: after === "" ? null : after };
}
