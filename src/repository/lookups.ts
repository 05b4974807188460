import claimLookupsSql from "../../sql/queries/claim-lookups.sql" with { type: "text" };
import countRefusedSql from "../../sql/queries/count-refused.sql" with { type: "text" };
import listDueLookups from "../../sql/queries/list-due-lookups.sql" with { type: "text" };
import listDueProbesSql from "../../sql/queries/list-due-probes.sql" with { type: "text" };
import parkRefusedSql from "../../sql/queries/park-refused.sql" with { type: "text" };
import releaseClaimedLookups from "../../sql/queries/release-claimed-lookups.sql" with { type: "text" };
import releaseLookupsSql from "../../sql/queries/release-lookups.sql" with { type: "text" };
import releaseOwnedLookups from "../../sql/queries/release-owned-lookups.sql" with { type: "text" };
import saveOutcomesSql from "../../sql/queries/save-outcomes.sql" with { type: "text" };
import saveUsernamesSql from "../../sql/queries/save-usernames.sql" with { type: "text" };
import { type AccountId, type ConversationId, parseConversationId } from "../domain/ids.ts";
import {
  type Lookup,
  type Profile,
  type ProfileOutcome,
  type ProfileStatus,
  statusOfProfile,
} from "../domain/profile.ts";
import type { RunHold } from "../domain/run.ts";
import type { Database } from "./database.ts";

/**
 * A lease outlives the longest window of lookups (30 s, see dispatch.ts, and a save). With a sweep every 15 s the people
 * whom a dead daemon held are taken over within a minute.
 */
export const leaseMs = 40_000;

/** What a claim found: the lookup, or why there is none to do. */
export type Claim =
  | { readonly kind: "taken"; readonly lookup: Lookup }
  | { readonly kind: "held"; readonly conversationId: ConversationId }
  | { readonly kind: "done"; readonly conversationId: ConversationId; readonly status: ProfileStatus }
  | { readonly kind: "missing"; readonly conversationId: ConversationId };

/** A list a column; the same place in each is the same person. */
type ClaimColumns = {
  id: ConversationId[];
  profile_status: ProfileStatus[];
  attempts: number[];
  lease_token: (string | null)[];
  seen_inbound_at: (string | null)[];
  username: (string | null)[];
  name: (string | null)[];
  picture_url: (string | null)[];
  picture_expires_at_ms: (number | null)[];
  fetched_at_ms: (number | null)[];
  held: boolean[];
};

export type LookupsRepository = ReturnType<typeof createLookupsRepository>;

/**
 * The clockwork in `conversations`: who is due, who holds whom, what came of it. `owner` outlives the process that takes
 * leases: whoever holds the same data folder next can give them back. Null for a command, whose leases run out.
 */
export function createLookupsRepository(database: Database, owner: string | null) {
  return {
    /**
     * Leases people to this caller. `force` takes those too that are not due. For a run, they are leased in its name, and
     * whom a dead owner of the run held is taken again; a run that was lost gets nobody. One claim an id, in the order asked.
     */
    async claimLookups(ids: readonly ConversationId[], force: boolean, run: RunHold | null = null): Promise<Claim[]> {
      const [columns] = await database.queryForLookups<ClaimColumns>(
        claimLookupsSql,
        [
          JSON.stringify(ids),
          leaseMs,
          force,
          run === null ? owner : `run ${run.id}`,
          run?.id ?? null,
          run?.fencingToken ?? null,
        ],
        "claim profile lookups",
      );
      const placeOf = new Map(columns?.id.map((id, place) => [id, place]));
      return ids.map((conversationId): Claim => {
        const place = placeOf.get(conversationId);
        const lookup = columns === undefined || place === undefined ? null : readClaim(columns, place);
        return lookup ?? { kind: "missing", conversationId };
      });
    },

    /**
     * Writes outcomes, guarded by lease and age, and for a run by its fencing token too; whom the run is done with is
     * counted in its row. Answers the conversations that were written.
     */
    async saveOutcomes(
      outcomes: readonly { lookup: Lookup; outcome: ProfileOutcome }[],
      run: RunHold | null = null,
    ): Promise<ConversationId[]> {
      if (outcomes.length === 0) return [];
      const [saved] = await database.queryForLookups<{ ids: ConversationId[] | null }>(
        saveOutcomesSql,
        [
          JSON.stringify(outcomes.map(({ lookup, outcome }) => buildOutcomeRow(lookup, outcome))),
          run?.id ?? null,
          run?.fencingToken ?? null,
        ],
        "save profiles",
      );
      return saved?.ids ?? [];
    },

    /** Names people whose profile was refused and who have no name yet. */
    async saveUsernames(named: readonly { conversationId: ConversationId; username: string }[]): Promise<void> {
      const rows = named.map(({ conversationId, username }) => ({ id: conversationId, username }));
      await database.query(saveUsernamesSql, [JSON.stringify(rows)], "save usernames");
    },

    /** Gives leases back, so that nobody waits for them to run out. */
    async releaseLookups(lookups: readonly Lookup[]): Promise<void> {
      if (lookups.length === 0) return;
      const held = lookups.map(({ conversationId, leaseToken }) => ({ id: conversationId, lease_token: leaseToken }));
      await database.query(releaseLookupsSql, [JSON.stringify(held)], "release profile lookups");
    },

    /** Gives back what a process that died in this owner's place held. Answers how many people that freed. */
    async releaseOwned(): Promise<number> {
      if (owner === null) return 0;
      return (await database.query(releaseOwnedLookups, [owner], "release a predecessor's lookups")).length;
    },

    /** Gives back what this owner holds of these people, whatever the token. Answers how many people that freed. */
    async releaseClaimed(ids: readonly ConversationId[]): Promise<number> {
      if (owner === null || ids.length === 0) return 0;
      const held = [owner, JSON.stringify(ids)];
      return (await database.query(releaseClaimedLookups, held, "release lookups of a lost claim")).length;
    },

    /** Who is due and held by nobody, at most `limit`. */
    async listDue(limit: number): Promise<ConversationId[]> {
      const rows = await database.query<{ id: ConversationId }>(listDueLookups, [limit], "list due lookups");
      return rows.map((row) => row.id);
    },

    /** How many of an account's people were refused within `withinMs`, and how many were not, as far as a verdict needs. */
    async countRefused(
      accountId: AccountId,
      { withinMs, peopleMin, shareMin }: { withinMs: number; peopleMin: number; shareMin: number },
    ): Promise<{ refused: number; others: number }> {
      const [row] = await database.query<{ refused: number; others: number }>(
        countRefusedSql,
        [accountId, withinMs, peopleMin, shareMin],
        "count who was refused",
        countDeadlineMs,
      );
      return row ?? { refused: 0, others: 0 };
    },

    /** Leaves everybody who was refused within `withinMs` to the account's return. */
    async parkRefused(accountId: AccountId, withinMs: number): Promise<void> {
      await database.query(parkRefusedSql, [accountId, withinMs], "park who was refused", countDeadlineMs);
    },

    /** One person of each account whose pause has ended. */
    async listDueProbes(limit: number): Promise<ConversationId[]> {
      const rows = await database.query<{ id: ConversationId }>(listDueProbesSql, [limit], "list due probes");
      return rows.map((row) => row.id);
    },
  };
}

/** At worst these walk all of an account's people, about once an hour. */
const countDeadlineMs = 10_000;

function readClaim(columns: ClaimColumns, place: number): Claim | null {
  const key = parseConversationId(columns.id[place]);
  const status = columns.profile_status[place];
  if (key === null || status === undefined) return null;
  const { conversationId, participantId } = key;
  const leaseToken = columns.lease_token[place] ?? null;
  if (leaseToken === null)
    return columns.held[place] === true ? { kind: "held", conversationId } : { kind: "done", conversationId, status };
  const username = columns.username[place] ?? null;
  const fetchedAtMs = columns.fetched_at_ms[place] ?? null;
  const stored: Profile | null =
    fetchedAtMs === null
      ? null
      : {
          participantId,
          username,
          name: columns.name[place] ?? null,
          pictureUrl: columns.picture_url[place] ?? null,
          pictureExpiresAtMs: columns.picture_expires_at_ms[place] ?? null,
          fetchedAtMs,
        };
  const seenInboundAt = columns.seen_inbound_at[place] ?? null;
  const attempts = columns.attempts[place] ?? 0;
  return { kind: "taken", lookup: { ...key, leaseToken, seenInboundAt, username, stored, attempts } };
}

/** What a row leaves out is null there: of a million people each word counts. */
function buildOutcomeRow({ conversationId, leaseToken, seenInboundAt }: Lookup, outcome: ProfileOutcome) {
  const base = { id: conversationId, lease_token: leaseToken };
  if (outcome.kind === "found") {
    const { profile } = outcome;
    return {
      ...base,
      found: true,
      status: statusOfProfile(profile),
      attempts: 0,
      fetched_at: new Date(profile.fetchedAtMs).toISOString(),
      username: profile.username,
      name: profile.name,
      picture_url: profile.pictureUrl,
      picture_expires_at:
        profile.pictureExpiresAtMs === null ? null : new Date(profile.pictureExpiresAtMs).toISOString(),
    };
  }
  return {
    ...base,
    seen_inbound_at: seenInboundAt,
    found: false,
    status: outcome.kind === "absent" ? outcome.status : null,
    reason: outcome.reason,
    attempts: outcome.attempts,
    retry_in_ms: outcome.retryInMs,
    evidence: outcome.evidence === null ? null : JSON.stringify(outcome.evidence),
  };
}
