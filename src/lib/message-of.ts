/** What was thrown, as a sentence: an error's message, or whatever else it was as text. */
export const messageOf = (thrown: unknown): string => (thrown instanceof Error ? thrown.message : String(thrown));
