import type { ConversationId, ParticipantId, PersonKey } from "./ids.ts";

/** Where a conversation's profile stands (spec §4). The same words in the database, the API and the code. */
export const profileStatuses = [
  "pending",
  "complete",
  "no_picture",
  "username_only",
  "no_consent",
  "not_found",
  "account_blocked",
  "failed",
] as const;
export type ProfileStatus = (typeof profileStatuses)[number];

/** A person as Instagram describes them. `null`: Instagram has none. */
export type Profile = {
  readonly participantId: ParticipantId;
  readonly username: string | null;
  readonly name: string | null;
  /** Checked by `checkPictureUrl()`: https on one of Meta's picture hosts. */
  readonly pictureUrl: string | null;
  readonly pictureExpiresAtMs: number | null;
  readonly fetchedAtMs: number;
};

/** How long the cache keeps a profile, in ms (spec §4: 86400 s). */
export const profileTtlMs = 86_400_000;
/** How old a stored profile may grow where no setting says it, in ms (meta-platform.md §11: stale after some 7 days). */
export const profileMaxAgeMsDefault = 7 * 86_400_000;
/** A picture's address is renewed so long before its end, in ms (§9), but not more often than the cache forgets. In save-events.sql too. */
export const pictureRenewalMs = 86_400_000;

/** From when on a message of the person asks Graph for a profile again, in ms since 1970: it is old, or its picture dies soon. */
export function staleAtMs(
  { fetchedAtMs, pictureExpiresAtMs }: Pick<Profile, "fetchedAtMs" | "pictureExpiresAtMs">,
  maxAgeMs: number,
): number {
  const oldAtMs = fetchedAtMs + maxAgeMs;
  if (pictureExpiresAtMs === null) return oldAtMs;
  const renewAtMs = Math.max(fetchedAtMs + profileTtlMs, pictureExpiresAtMs - pictureRenewalMs);
  return Math.min(oldAtMs, renewAtMs, pictureExpiresAtMs);
}

/** Why Instagram will not show this person: about the person, final until something re-arms it. */
export const absentReasons = ["no_consent", "gone", "unavailable", "invalid_id", "not_visible"] as const;
export type AbsentReason = (typeof absentReasons)[number];

/** Why the account cannot look anybody up: a human has to act. */
export const blockedReasons = [
  "token_missing",
  "token_unreadable",
  "token_dead",
  "permission_missing",
  "page_not_linked",
  "access_level",
  "proof_refused",
  "abuse_block",
] as const;
export type BlockedReason = (typeof blockedReasons)[number];

/** Why an account rests, as it is stored; an unknown word, a newer program's, reads as a dead token. */
export function readBlockedReason(reason: string | null): BlockedReason {
  return blockedReasons.find((known) => known === reason) ?? "token_dead";
}

/** Why a lookup brought nothing this time. `bad_request` is a bug of ours and never tried again. */
export const failureReasons = [
  "server_error",
  "timeout",
  "network",
  "bad_answer",
  "wrong_person",
  "not_answered",
  "missing_or_forbidden",
  "bad_request",
  "unknown_code",
] as const;
export type FailureReason = (typeof failureReasons)[number];
/** Failures of Graph itself, or of the way to it: who was asked about is not the trouble. */
export const graphsOwnFailures: readonly string[] = ["server_error", "timeout", "network"] satisfies FailureReason[];

/** What Instagram said, for the operator. Never a token, never a message of Meta's that could hold one. */
export type Evidence = {
  readonly httpStatus: number | null;
  readonly code: number | null;
  readonly subcode: number | null;
  readonly fbtraceId: string | null;
};
/** People of one request: Meta refuses a batch of more than 50 (meta-platform.md §4.2). */
export const batchSizeMax = 50;

/** Of what was never sent. */
export const noEvidence: Evidence = { httpStatus: null, code: null, subcode: null, fbtraceId: null };

/** One person's answer from the Graph API, already classified by code and subcode (meta-platform.md §3.4). */
export type LookupAnswer =
  | { readonly kind: "found"; readonly profile: Profile }
  | { readonly kind: "absent"; readonly reason: AbsentReason; readonly evidence: Evidence }
  | { readonly kind: "blocked"; readonly reason: BlockedReason; readonly evidence: Evidence }
  /** Over a limit. `resumeInMs` is what Instagram named, null where it named nothing. */
  | {
      readonly kind: "throttled";
      readonly scope: "app" | "account";
      readonly resumeInMs: number | null;
      readonly evidence: Evidence;
    }
  | { readonly kind: "failed"; readonly reason: FailureReason; readonly evidence: Evidence };

/** Why nobody was asked at all: a limit, or a Graph that fails of itself. Neither says anything about the person. */
export const pauseReasons = ["throttled", "graph_away"] as const;
export type PauseReason = (typeof pauseReasons)[number];

export type ReasonCode = AbsentReason | BlockedReason | FailureReason | PauseReason;

/** What became of one lookup. `found` and `absent` end it; `later` tries again by itself. */
export type ProfileOutcome =
  | { readonly kind: "found"; readonly profile: Profile; readonly source: "cache" | "stored" | "graph" }
  | {
      readonly kind: "absent";
      readonly status: Exclude<ProfileStatus, "complete" | "no_picture" | "pending">;
      readonly reason: ReasonCode;
      readonly attempts: number;
      /** When it may be tried again without anything else happening; null: only an event re-arms it. */
      readonly retryInMs: number | null;
      readonly evidence: Evidence | null;
    }
  | {
      readonly kind: "later";
      readonly reason: ReasonCode;
      readonly attempts: number;
      readonly retryInMs: number;
      readonly evidence: Evidence | null;
    };

/** The state a profile answer puts its conversation in: a person without a picture is done too, and it says why. */
export function statusOfProfile(profile: Pick<Profile, "pictureUrl">): "complete" | "no_picture" {
  return profile.pictureUrl === null ? "no_picture" : "complete";
}

/** A lookup that this process holds: nobody else asks for the person until the lease runs out. */
export type Lookup = PersonKey & {
  readonly conversationId: ConversationId;
  /** Fencing: a save with an older token than the row's is refused by the database. */
  readonly leaseToken: string;
  /** The person's latest message as the database wrote it: a refusal for lack of consent holds only up to it. */
  readonly seenInboundAt: string | null;
  /** Known from an earlier answer, or for free from a comment, a mention or the inbox. */
  readonly username: string | null;
  /** What an earlier lookup found, however old; null: none has. */
  readonly stored: Profile | null;
  /** Attempts already spent on this person since the lookup was armed. */
  readonly attempts: number;
};

/** Longest username and name that are kept. Instagram allows 30 and 64 characters; the rest is room, not a promise. */
export const usernameLengthMax = 128;
export const nameLengthMax = 512;
