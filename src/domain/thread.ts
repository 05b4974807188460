/** One thread as Instagram's inbox lists it. */
export type Thread = {
  /** Instagram's own id of the thread, opaque; ours is made of account and person. */
  readonly id: string;
  /** When something last happened in it; null where the list does not say. */
  readonly updatedAtMs: number | null;
  /** Everybody in it, the account itself among them; empty where the list hides them. */
  readonly people: readonly ThreadPerson[];
};

/** `username` is cleaned and cut; null where the list tells none. */
export type ThreadPerson = { readonly id: string; readonly username: string | null };

/** One page of the list, newest thread first. */
export type ThreadPage = {
  readonly threads: readonly Thread[];
  /** Where the next page begins; null: this was the last one. */
  readonly after: string | null;
};

/** One message of a thread whose details Instagram still tells. */
export type ThreadMessage = {
  /** As it came: it may be longer than what is kept. */
  readonly id: string;
  readonly createdAtMs: number;
  readonly fromId: string | null;
  readonly fromUsername: string | null;
  readonly text: string | null;
  /** JSON text of the attachments as they came, or null. */
  readonly attachments: string | null;
  readonly replyToId: string | null;
  readonly unsupported: boolean;
};

/** Latest messages of a thread that Instagram tells the details of (meta-platform.md §7.2). */
export const threadMessagesMax = 20;
/** Longest id of a thread, and longest cursor, that are used; the captured ones have some 170 characters. */
export const threadIdLengthMax = 1_024;
