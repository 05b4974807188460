import type { AccountId, ConversationId, ParticipantId } from "./ids.ts";
import type { Evidence, ProfileStatus } from "./profile.ts";

/** What the lookups of one conversation's person left behind. Times are milliseconds since 1970. */
export type LookupRecord = {
  readonly id: ConversationId;
  /** The operator's own name of the account; its Instagram id where nobody has added it. */
  readonly accountId: string;
  readonly instagramId: AccountId;
  readonly participantId: ParticipantId;
  readonly username: string | null;
  readonly name: string | null;
  readonly hasPicture: boolean;
  /** The account's notes to itself. */
  readonly self: boolean;
  readonly lastMessageAtMs: number;
  /** null: the person has never written, only been written to. */
  readonly lastInboundAtMs: number | null;
  readonly status: ProfileStatus;
  readonly reason: string | null;
  readonly attempts: number;
  readonly evidence: Evidence | null;
  readonly fetchedAtMs: number | null;
  readonly checkedAtMs: number | null;
  readonly pictureExpiresAtMs: number | null;
  readonly nextAttemptAtMs: number | null;
  /** A process is looking the person up at this moment. */
  readonly held: boolean;
};
