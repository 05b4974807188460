/**
 * The conversations edge (meta-platform.md §7): newest first, cursors, `paging.next` with the token in it as Meta's
 * has, both sides in `participants`. Everybody in the world has a conversation; who writes while the box is open
 * moves to the front.
 */
import { createConversationId, writeTime } from "./conversation-node.ts";
import { type GraphField, parseFields } from "./graph-fields.ts";
import { createReply, type GraphReply, requestErrors, unknownFieldError } from "./graph-reply.ts";
import { type ThreadTwist, tooMuchAbove, twistUsername } from "./inbox-twist.ts";
import type { AccountState, Platform } from "./platform.ts";
import { troubleTable } from "./trouble.ts";
import type { SandboxPerson } from "./world.ts";

export const pageLimitDefault = 25;
/** Not documented by Meta; 100 is the most that programs in the field ask for (§7.2). More is read as 100. */
export const pageLimitMax = 100;
/** With nested messages a longer page is "too much data" (§7.2: HTTP 500 code 1; halve the limit). */
export const pageLimitWithMessagesMax = 10;
const listFields: ReadonlySet<string> = new Set(["id", "updated_time", "participants", "messages", "is_owner"]);

/** Where a page ends: among those who wrote since the box opened, or among the rest in the world's order. */
type Position = { phase: "wrote" | "rest"; at: number; index: number };
type GraphCall = { version: string; ownerSegment: string; params: URLSearchParams; token: string };

/** Answers one call of the edge, of an account that is allowed to call. */
export function answerConversations(platform: Platform, state: AccountState, call: GraphCall): GraphReply {
  const { params } = call;
  const host = state.account.login;
  const fields = parseFields(params.get("fields") || "id,updated_time");
  if (fields === null) return platform.writeError(requestErrors.syntax, host);
  const unknown = fields.find((field) => !listFields.has(field.name));
  if (unknown) return platform.writeError(unknownFieldError(unknown.name, "UnifiedThread"), host);
  const platformName = params.get("platform") ?? (host === "instagram" ? "instagram" : "messenger");
  // A Page lists its Messenger threads unless told otherwise, and this Page has none.
  if (platformName === "messenger") return createReply({ data: [] });
  if (platformName !== "instagram") return platform.writeError(requestErrors.parameter, host);

  const userId = params.get("user_id");
  if (userId !== null) return answerOne(platform, state, userId, fields);

  const limitText = params.get("limit") || String(pageLimitDefault);
  if (!/^[1-9][0-9]{0,8}$/.test(limitText)) return platform.writeError(requestErrors.parameter, host);
  const limit = Math.min(Number(limitText), pageLimitMax);
  if (limit > pageLimitWithMessagesMax && fields.some((field) => field.name === "messages")) {
    return platform.writeError(requestErrors.tooMuchData, host);
  }
  const after = params.get("after");
  const position = after === null || after === "" ? null : readCursor(after, platform.cursorGeneration);
  // Meta does not publish what an expired cursor answers; a plain 100 is what a wrong one does.
  if (after && position === null) return platform.writeError(requestErrors.parameter, host);

  const { found, more } = listNewest(state, position, limit);
  const people = found.map(({ index }) => state.account.population.at(index));
  if (isTooMuch(platform, people)) return platform.writeError(requestErrors.tooMuchData, host);
  const data = people.map((person) => writeConversation(platform, state, person, fields));
  const last = found.at(-1);
  if (last === undefined) return createReply({ data });
  const cursor = writeCursor(last.position, platform.cursorGeneration);
  const first = found[0]?.position ?? last.position;
  return createReply({
    data,
    paging: {
      cursors: { before: writeCursor(first, platform.cursorGeneration), after: cursor },
      ...(more ? { next: writeNext(platform, call, host, limit, cursor) } : {}),
    },
  });
}

/** One thread by `user_id`: nobody known answers an empty list, people who are gone 9010 (§7.3 saw both). */
function answerOne(platform: Platform, state: AccountState, userId: string, fields: readonly GraphField[]): GraphReply {
  const person = platform.findPerson(state, userId);
  if (person === null) return createReply({ data: [] });
  const trouble = platform.troubleOf(person);
  if (trouble === "unavailable") return createReply({ data: [] });
  const row = troubleTable[trouble ?? "no_consent"];
  if (trouble === "gone" && "error" in row) return platform.writeError(row.error, state.account.login);
  return createReply({ data: [writeConversation(platform, state, person, fields)] });
}

function writeConversation(
  platform: Platform,
  state: AccountState,
  person: SandboxPerson,
  fields: readonly GraphField[],
) {
  const twist = platform.twistOf(person.id);
  const conversation: Record<string, unknown> = { id: createConversationId(state.index, person.id) };
  for (const field of fields) {
    if (field.name === "updated_time" && twist !== "no_time")
      conversation.updated_time = writeTime(platform.lastWroteMs(state, person.id));
    if (field.name === "is_owner") conversation.is_owner = true;
    if (field.name === "participants") conversation.participants = writeParticipants(state, person, twist);
    if (field.name === "messages") conversation.messages = { data: [] };
  }
  return conversation;
}

function writeParticipants({ account }: AccountState, person: SandboxPerson, twist: ThreadTwist | null): unknown {
  if (twist === "no_participants") return null;
  const ownId = twist === "own_app_scoped" ? account.appScopedId : account.instagramId;
  const sides: unknown[] = [
    { username: account.username, id: ownId },
    { username: twistUsername(person.username, twist), id: person.id },
  ];
  if (twist === "group") sides.push({ username: `friend.of.${person.username}`, id: `1${person.id}` });
  if (twist === "null_side") sides.splice(1, 0, null);
  return { data: sides };
}

/** Whether Graph wants less of these threads at once. */
function isTooMuch(platform: Platform, people: readonly SandboxPerson[]): boolean {
  if (platform.listPageMax !== null && people.length > platform.listPageMax) return true;
  return people.length > tooMuchAbove && people.some(({ id }) => platform.twistOf(id) === "too_much");
}

/**
 * The next `limit` people after `position`, newest first. Who writes between two pages moves ahead of the cursor and
 * is not seen again, which is what a live list does to a reader.
 */
function listNewest(state: AccountState, position: Position | null, limit: number) {
  const found: { index: number; position: Position }[] = [];
  const wanted = limit + 1; // One more than asked, to know whether there is a next page.
  if (position === null || position.phase === "wrote") {
    const newestFirst = [...state.lastWroteMs.entries()].reverse();
    // Several may have written in one millisecond: the next is whoever stands behind the one who was shown last.
    const shown = newestFirst.findIndex(([index, atMs]) => index === position?.index && atMs === position.at);
    const start =
      position === null ? 0 : shown >= 0 ? shown + 1 : newestFirst.findIndex(([, atMs]) => atMs < position.at);
    for (const [index, atMs] of start < 0 ? [] : newestFirst.slice(start, start + wanted)) {
      found.push({ index, position: { phase: "wrote", at: atMs, index } });
    }
  }
  const { count } = state.account.population;
  for (
    let index = position?.phase === "rest" ? position.at + 1 : 0;
    index < count && found.length < wanted;
    index += 1
  ) {
    if (!state.lastWroteMs.has(index)) found.push({ index, position: { phase: "rest", at: index, index } });
  }
  return { found: found.slice(0, limit), more: found.length > limit };
}

function writeCursor(position: Position, generation: number): string {
  return `QVFI${Buffer.from(`${position.phase}:${position.at}:${position.index}:${generation}`).toString("base64url")}`;
}

function readCursor(cursor: string, generation: number): Position | null {
  if (!cursor.startsWith("QVFI")) return null;
  const [phase, at, index, madeIn] = Buffer.from(cursor.slice(4), "base64url").toString().split(":");
  if (madeIn !== String(generation)) return null;
  if ((phase !== "wrote" && phase !== "rest") || at === undefined || !/^[0-9]{1,15}$/.test(at)) return null;
  return { phase, at: Number(at), index: Number(index) };
}

function writeNext(platform: Platform, call: GraphCall, host: string, limit: number, cursor: string): string {
  const params = new URLSearchParams(call.params);
  params.set("access_token", call.token); // The trap of §6.4: storing this link stores the token.
  params.set("limit", String(limit));
  params.set("after", cursor);
  params.delete("appsecret_proof");
  const version = call.version === "" ? "" : `${call.version}/`;
  return `${platform.origin}/graph.${host}.com/${version}${call.ownerSegment}/conversations?${params}`;
}
