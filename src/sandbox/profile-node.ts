/**
 * The profile node `GET /{igsid}?fields=…` (meta-platform.md §3): the same fields on both hosts, only for people who
 * wrote to the account of the token.
 */
import { hashText } from "./chance.ts";
import { parseFields } from "./graph-fields.ts";
import { createReply, type GraphReply, requestErrors, unknownFieldError } from "./graph-reply.ts";
import { createPictureUrl } from "./picture.ts";
import type { AccountState, Platform } from "./platform.ts";
import { type ProfileTwist, troubleTable } from "./trouble.ts";
import type { SandboxPerson } from "./world.ts";

/** The fields of §3.1. `profile_picture_url` is the account's own and not among them. */
export const profileFields: ReadonlySet<string> = new Set([
  "id",
  "name",
  "username",
  "profile_pic",
  "follower_count",
  "is_user_follow_business",
  "is_business_follow_user",
  "is_verified_user",
]);
const nodeType = "IGBusinessScopedID";
const hugeNameLength = 1_000_000;
const hostilePictures = [
  "https://scontent.fbcdn.net.evil.example/face.jpg?oe=7FFFFFFF",
  "https://evilfbcdn.net/face.jpg?oe=7FFFFFFF",
  "http://scontent.cdninstagram.com/face.jpg?oe=7FFFFFFF",
  "https://user:secret@scontent.cdninstagram.com/face.jpg?oe=7FFFFFFF",
  "https://scontent.cdninstagram.com:8443/face.jpg?oe=7FFFFFFF",
  "https://169.254.169.254/latest/meta-data/",
  "https://[::1]/face.jpg",
  "javascript:alert(1)",
] as const;

/** Answers one profile call of an account that is allowed to call. */
export function answerProfile(
  platform: Platform,
  state: AccountState,
  id: string,
  params: URLSearchParams,
): GraphReply {
  const host = state.account.login;
  const person = platform.findPerson(state, id);
  if (person === null) return platform.writeError(troubleRowOf("invalid_id"), host);
  const fields = parseFields(params.get("fields") || "id");
  if (fields === null) return platform.writeError(requestErrors.syntax, host);
  const unknown = fields.find((field) => !profileFields.has(field.name) || field.fields.length > 0);
  if (unknown) return platform.writeError(unknownFieldError(unknown.name, nodeType), host);

  const write = (): GraphReply => createReply(writeProfile(platform, person, fields));
  const trouble = platform.troubleOf(person);
  if (trouble === null) return write();
  const row = troubleTable[trouble];
  if ("error" in row)
    return row.once && !platform.takeFirst(state, id) ? write() : platform.writeError(row.error, host);
  if ("fault" in row) return { ...write(), fault: row.fault };
  if ("twist" in row) return createReply(twistProfile(row.twist, person, writeProfile(platform, person, fields)));
  if (row.batch === "null_item" && platform.takeFirst(state, id)) {
    // Outside a batch "not finished in time" reads as a passing server error.
    return { ...platform.writeError(troubleRowOf("server_error"), host), batch: "null_item" };
  }
  return { ...write(), batch: row.batch === "null_item" ? null : row.batch };
}

function troubleRowOf(trouble: "invalid_id" | "server_error") {
  const row = troubleTable[trouble];
  return "error" in row ? row.error : requestErrors.unsupported;
}

function writeProfile(platform: Platform, person: SandboxPerson, fields: readonly { name: string }[]) {
  const traits = hashText(platform.world.seed, person.id);
  const profile: Record<string, unknown> = {};
  for (const { name } of fields) {
    if (name === "name" && person.name !== null) profile.name = person.name;
    else if (name === "username") profile.username = person.username;
    else if (name === "profile_pic" && person.hasPicture) profile.profile_pic = createLink(platform, person.id);
    else if (name === "follower_count") profile.follower_count = traits % 10_000;
    else if (name === "is_user_follow_business") profile.is_user_follow_business = (traits & 1) === 1;
    else if (name === "is_business_follow_user") profile.is_business_follow_user = (traits & 2) === 2;
    else if (name === "is_verified_user") profile.is_verified_user = traits % 50 === 0;
  }
  profile.id = person.id; // `id` comes back whether asked for or not (§3.1).
  return profile;
}

function createLink(platform: Platform, personId: string): string {
  const expiresAtMs = platform.clock.nowMs() + platform.pictureLifetimeMs;
  return createPictureUrl(platform.origin, platform.world.seed, personId, {
    expiresAtMs,
    number: platform.nextPictureNumber(),
  });
}

function twistProfile(twist: ProfileTwist, person: SandboxPerson, profile: Record<string, unknown>): unknown {
  switch (twist) {
    case "wrong_id":
      return { ...profile, id: `${person.id.slice(0, -1)}${(Number(person.id.at(-1)) + 1) % 10}` };
    case "bare_string":
      return "Something went wrong";
    case "list_body":
      return { data: [profile] };
    case "wrong_types":
      return { id: person.id, name: 42, username: ["jane"], profile_pic: { url: true } };
    case "huge_name":
      return { ...profile, name: "x".repeat(hugeNameLength) };
    case "nul_name":
      return { ...profile, name: "Jane\u0000Doe", username: "jane\u0000doe" };
    case "lone_surrogate":
      return { ...profile, name: "Jane \ud83d Doe" };
    case "rtl_name":
      return { ...profile, name: "\u202eenaJ \u064a\u0648\u0633\u0641\u2066" };
    case "hostile_picture":
      return {
        ...profile,
        profile_pic: hostilePictures[hashText(1, person.id) % hostilePictures.length],
      };
  }
}
