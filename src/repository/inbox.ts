import endListingSql from "../../sql/queries/end-listing.sql" with { type: "text" };
import getListingSql from "../../sql/queries/get-listing.sql" with { type: "text" };
import importConversationSql from "../../sql/queries/import-conversation.sql" with { type: "text" };
import saveListedNamesSql from "../../sql/queries/save-listed-names.sql" with { type: "text" };
import type { Direction } from "../domain/event.ts";
import type { AccountId, ParticipantId } from "../domain/ids.ts";
import type { NamesTotals, RunHold } from "../domain/run.ts";
import type { Database } from "./database.ts";

/** What is known of an account's inbox. Times are milliseconds since 1970, by the database's clock. */
export type Listing = {
  readonly nowMs: number;
  /** When the last listing began that reached the end; null: there was none with the token of today. */
  readonly listedAtMs: number | null;
  /** The same of the last one that created every conversation. */
  readonly importListedAtMs: number | null;
  /** What the account may be called among a thread's people beside its Instagram id. */
  readonly appScopedId: string | null;
  readonly username: string | null;
};

export type ListedNames = {
  readonly accountId: AccountId;
  /** Each person once; a null username only asks whether there is a conversation. */
  readonly people: readonly { readonly participantId: ParticipantId; readonly username: string | null }[];
  /** When the page was asked for, by the clock that stamps profiles. */
  readonly askedAtMs: number;
  /** Refusals that a name turns into `username_only`. */
  readonly namedReasons: readonly string[];
  readonly startedAtMs: number;
  /** The run they are for: they are written while it is held, together with where it stands now. */
  readonly place: (RunHold & { readonly cursor: string; readonly names: NamesTotals }) | null;
};
export type SavedNames = {
  /** Somebody else holds the run: nothing was written. */
  readonly lost: boolean;
  /** Names and states that were not so before. */
  readonly changed: number;
  /** Whom there is no conversation with. */
  readonly missing: readonly ParticipantId[];
  /** Conversations with these people that imports created since the listing began. */
  readonly imported: number;
};

export type ImportedMessage = {
  readonly mid: string;
  readonly direction: Direction;
  readonly text: string | null;
  /** JSON text or null. */
  readonly attachments: string | null;
  readonly replyToMid: string | null;
  readonly unsupported: boolean;
  readonly sentAtMs: number;
};
export type ImportedConversation = {
  readonly accountId: AccountId;
  readonly participantId: ParticipantId;
  readonly username: string | null;
  readonly lastMessageAtMs: number;
  readonly lastInboundAtMs: number | null;
  /** Each once. */
  readonly messages: readonly ImportedMessage[];
};

export type InboxRepository = ReturnType<typeof createInboxRepository>;

/** Keeps what listing an account's inbox brings. Throws `storage_unavailable`, `statement_refused`. */
export function createInboxRepository(database: Database) {
  return {
    /** null: nobody has added the account. */
    async getListing(id: AccountId): Promise<Listing | null> {
      type Row = {
        now_ms: number;
        listed_at_ms: number | null;
        import_listed_at_ms: number | null;
        app_scoped_id: string | null;
        username: string | null;
      };
      const [row] = await database.query<Row>(getListingSql, [id], "read when the inbox was listed");
      if (row === undefined) return null;
      return {
        nowMs: row.now_ms,
        listedAtMs: row.listed_at_ms,
        importListedAtMs: row.import_listed_at_ms,
        appScopedId: row.app_scoped_id,
        username: row.username,
      };
    },

    /** Saves the usernames of some pages, in one statement. */
    async saveListedNames(named: ListedNames): Promise<SavedNames> {
      const people = named.people.map(({ participantId, username }) => ({ participant_id: participantId, username }));
      const { place } = named;
      const [row] = await database.query<SavedNames>(
        saveListedNamesSql,
        [
          named.accountId,
          JSON.stringify(people),
          named.askedAtMs,
          JSON.stringify(named.namedReasons),
          named.startedAtMs,
          place?.id ?? null,
          place?.fencingToken ?? null,
          place?.cursor ?? null,
          place === null ? null : JSON.stringify(place.names),
        ],
        "save the names that the inbox told",
      );
      return row ?? { lost: true, changed: 0, missing: [], imported: 0 };
    },

    /** Creates a conversation with its latest messages. Answers false where a webhook was there first. */
    async importConversation(one: ImportedConversation): Promise<boolean> {
      const conversation = {
        account_id: one.accountId,
        participant_id: one.participantId,
        username: one.username,
        last_message_at: one.lastMessageAtMs,
        last_inbound_at: one.lastInboundAtMs,
      };
      const messages = one.messages.map((message) => ({
        mid: message.mid,
        direction: message.direction,
        text: message.text,
        attachments: message.attachments,
        reply_to_mid: message.replyToMid,
        unsupported: message.unsupported,
        sent_at: message.sentAtMs,
      }));
      const [row] = await database.query<{ created: boolean }>(
        importConversationSql,
        [JSON.stringify(conversation), JSON.stringify(messages)],
        "import a conversation",
      );
      return row?.created ?? false;
    },

    /** Notes that the listing which began at `startedAtMs` has covered the inbox; `imported`: and created all of it. */
    async endListing(id: AccountId, startedAtMs: number, imported: boolean): Promise<void> {
      await database.query(endListingSql, [id, startedAtMs, imported], "note that the inbox was listed");
    },
  };
}
