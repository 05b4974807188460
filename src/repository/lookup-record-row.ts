import type { AccountId, ConversationId, ParticipantId } from "../domain/ids.ts";
import type { LookupRecord } from "../domain/lookup-record.ts";
import type { Evidence, ProfileStatus } from "../domain/profile.ts";

/** A row of `get-lookup-record.sql`. */
export type LookupRecordRow = {
  id: ConversationId;
  account_id: string;
  instagram_id: AccountId;
  participant_platform_id: ParticipantId;
  participant_username: string | null;
  participant_name: string | null;
  has_picture: boolean;
  self: boolean;
  profile_status: ProfileStatus;
  reason_code: string | null;
  attempts: number;
  evidence: Evidence | null;
  last_message_at_ms: number;
  last_inbound_at_ms: number | null;
  fetched_at_ms: number | null;
  checked_at_ms: number | null;
  picture_expires_at_ms: number | null;
  next_attempt_at_ms: number | null;
  held: boolean;
};

export function readLookupRecord(row: LookupRecordRow): LookupRecord {
  return {
    id: row.id,
    accountId: row.account_id,
    instagramId: row.instagram_id,
    participantId: row.participant_platform_id,
    username: row.participant_username,
    name: row.participant_name,
    hasPicture: row.has_picture,
    self: row.self,
    lastMessageAtMs: row.last_message_at_ms,
    lastInboundAtMs: row.last_inbound_at_ms,
    status: row.profile_status,
    reason: row.reason_code,
    attempts: row.attempts,
    evidence: row.evidence,
    fetchedAtMs: row.fetched_at_ms,
    checkedAtMs: row.checked_at_ms,
    pictureExpiresAtMs: row.picture_expires_at_ms,
    nextAttemptAtMs: row.next_attempt_at_ms,
    held: row.held,
  };
}
