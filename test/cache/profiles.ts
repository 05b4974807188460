import { type AccountId, type ParticipantId, parseAccountId, parseParticipantId } from "../../src/domain/ids.ts";
import type { Profile } from "../../src/domain/profile.ts";

export function accountIdOf(text: string): AccountId {
  const id = parseAccountId(text);
  if (id === null) throw new Error(`not an account id: ${text}`);
  return id;
}

export function participantIdOf(text: string): ParticipantId {
  const id = parseParticipantId(text);
  if (id === null) throw new Error(`not a participant id: ${text}`);
  return id;
}

export const shop = accountIdOf("17841400000000001");
export const cafe = accountIdOf("17841400000000002");
export const jane = participantIdOf("1234567890123456");
export const tom = participantIdOf("1234567890123457");

export function profileOf(participantId: ParticipantId): Profile {
  return {
    participantId,
    username: "jane.doe",
    name: "Jané 😀 Doe",
    pictureUrl: "https://scontent.cdninstagram.com/p.jpg?oe=6A1BE7E2",
    pictureExpiresAtMs: null,
    fetchedAtMs: 1_760_000_000_123,
  };
}
