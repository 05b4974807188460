/**
 * What a tester makes of the inbox by hand: threads that are odd or unreadable, pages that are too much, cursors that
 * died. Each is something that meta-platform.md §7 tells of, or a shape a careless reader chokes on.
 */

export const threadTwists = [
  /** A second customer among the participants; Instagram says there are no such threads (§7.2). */
  "group",
  /** `participants` is null. */
  "no_participants",
  /** A null between the two sides, and an edge without data in it. */
  "null_side",
  /** The account stands there under its app-scoped id (§7.1). */
  "own_app_scoped",
  /** The customer without a username. */
  "nameless",
  /** With a NUL in it, which Postgres refuses. */
  "nul_username",
  /** Longer than any can be. */
  "huge_username",
  /** Without `updated_time`. */
  "no_time",
  /** "Please reduce the amount of data" for any page of more than ten with it, and for more than ten of its messages. */
  "too_much",
  /** The thread itself: 100/33, HTTP 500 with code 2, code 10. The list still shows it. */
  "missing",
  "fails",
  "permission",
] as const;
export type ThreadTwist = (typeof threadTwists)[number];

/** Threads or messages that go through with a thread that is `too_much`. */
export const tooMuchAbove = 10;
export const hugeUsernameLength = 5_000;

export function isThreadTwist(value: unknown): value is ThreadTwist {
  return threadTwists.some((twist) => twist === value);
}

/** How the customer's username is told. */
export function twistUsername(username: string, twist: ThreadTwist | null): string | undefined {
  if (twist === "nameless") return undefined;
  if (twist === "nul_username") return `jane\u0000${username}`;
  return twist === "huge_username" ? "x".repeat(hugeUsernameLength) : username;
}
