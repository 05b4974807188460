/**
 * Every trouble a person of the box can be in: each row of meta-platform.md §3.4 and §5.4, faults of the
 * transport, and answers that are well-formed but wrong. One table, so that a name, a suffix and an answer cannot
 * drift apart.
 *
 * A tester chooses a trouble by hand through an id: `999` + any 10–14 digits + the three-digit suffix of the table.
 * Such an id is a person of whichever account asks, in webhooks, in profile calls and in `?user_id=`:
 * `9990000000000230` has not consented, `9990000000000000` is well, `9990000000000777` does not exist. Suffixes
 * follow Meta's code where it has up to three digits; 5xx are answers of the server, 6xx throttles, 8xx faults, 9xx
 * others.
 */

export type GraphErrorRow = {
  readonly status: number;
  readonly code: number;
  readonly subcode?: number;
  readonly type?: string;
  readonly isTransient?: boolean;
  readonly message: string;
  /**
   * Always in English, without the code: what Meta says before it knows who asks, and what people read to tell two
   * errors apart.
   */
  readonly isPlain?: true;
  /** What graph.instagram.com says instead, where the hosts differ. */
  readonly onInstagram?: { readonly code?: number; readonly type?: string };
};

/** Faults of the HTTP answer itself; in a batch they hit the whole answer. */
export type TransportFault =
  | "hang"
  | "trickle"
  | "html"
  | "cut_off"
  | "huge"
  | "redirect"
  | "empty_body"
  | "truncated_json"
  | "bad_gateway";

/** Answers that parse and are wrong, or that a careless reader or database chokes on. */
export type ProfileTwist =
  | "wrong_id"
  | "bare_string"
  | "list_body"
  | "wrong_types"
  | "huge_name"
  | "nul_name"
  | "lone_surrogate"
  | "rtl_name"
  | "hostile_picture";

/** A batch answer that does not fit its request. A single GET of such a person is well (null_item: HTTP 500 once). */
export type BatchTwist = "null_item" | "batch_missing" | "batch_extra" | "batch_reordered";

export type TroubleRow = { readonly suffix: string } & (
  | { readonly error: GraphErrorRow; readonly once?: true }
  | { readonly fault: TransportFault }
  | { readonly twist: ProfileTwist }
  | { readonly batch: BatchTwist }
);

const refusal = (status: number, code: number, message: string, subcode?: number): GraphErrorRow =>
  subcode === undefined ? { status, code, message } : { status, code, message, subcode };
const deadToken = (subcode: number, message: string) => refusal(401, 190, message, subcode);
const throttle = (code: number, message: string) => refusal(403, code, message);

const table = {
  // The person
  no_consent: { suffix: "230", error: refusal(403, 230, "User consent is required to access user profile") },
  gone: {
    suffix: "910",
    error: { status: 400, code: 9010, message: "No matching Instagram user", onInstagram: { type: "IGApiException" } },
  },
  unavailable: { suffix: "909", error: refusal(400, 9009, "The Instagram user is unavailable") },
  invalid_id: { suffix: "914", error: refusal(400, 100, "No matching Instagram user", 2534014) },
  missing: {
    suffix: "033",
    error: {
      status: 400,
      code: 100,
      subcode: 33,
      type: "GraphMethodException",
      message:
        "Unsupported get request. The object does not exist, cannot be loaded due to missing permissions, or does not support this operation",
    },
  },
  no_profile: { suffix: "918", error: refusal(400, 2018218, "No profile available for this user") },
  profile_not_permitted: {
    suffix: "947",
    error: refusal(400, 2018247, "Insufficient permission to access user profile"),
  },
  not_visible: { suffix: "210", error: refusal(403, 210, "User not visible") },
  invalid_user: { suffix: "110", error: refusal(400, 110, "Invalid user id") },
  // The app, the account, the link between them
  page_unlinked: { suffix: "913", error: refusal(400, 100, "The Page is not linked to an Instagram account", 2534013) },
  unknown_field: { suffix: "100", error: refusal(400, 100, "Tried accessing nonexisting field (username)") },
  permission: { suffix: "010", error: refusal(403, 10, "Application does not have permission for this action") },
  permission_link: {
    suffix: "977",
    error: refusal(400, 10, "The link between the account, the user and the Page cannot be verified", 2534077),
  },
  permission_denied: { suffix: "200", error: refusal(403, 200, "Permissions error") },
  access_off: { suffix: "941", error: refusal(403, 200, "The owner has switched off access to messages", 2534041) },
  bad_signature: { suffix: "104", error: refusal(400, 104, "Incorrect signature") },
  blocked_for_abuse: { suffix: "368", error: refusal(403, 368, "The action attempted has been deemed abusive") },
  query_error: { suffix: "250", error: refusal(400, 2500, "Syntax error in the query") },
  // The token
  token_dead: { suffix: "190", error: refusal(401, 190, "Error validating access token") },
  token_app_removed: { suffix: "458", error: deadToken(458, "The user has not authorized the application") },
  token_checkpoint: { suffix: "459", error: deadToken(459, "The user must log in and confirm") },
  token_password_changed: {
    suffix: "460",
    error: deadToken(460, "The session has been invalidated because the password changed"),
  },
  token_expired: { suffix: "463", error: deadToken(463, "Session has expired") },
  token_unconfirmed: { suffix: "464", error: deadToken(464, "The user is not confirmed") },
  token_invalid: { suffix: "467", error: deadToken(467, "The access token is invalid") },
  token_page_role: { suffix: "492", error: deadToken(492, "The user has no role on the Page") },
  session: { suffix: "102", error: refusal(401, 102, "Session key invalid or no longer valid") },
  // The server. The numbers in the text are a trap: whoever searches messages for codes is wrong.
  server_unknown: { suffix: "501", error: refusal(500, 1, "An unknown error occurred") },
  reduce_data: {
    suffix: "503",
    error: refusal(500, 1, "Please reduce the amount of data you're asking for, then retry your request"),
  },
  server_error: {
    suffix: "500",
    error: {
      status: 500,
      code: 2,
      isTransient: true,
      message: "An unexpected error has occurred (ref 190-230). Please retry your request later",
    },
  },
  server_error_once: {
    suffix: "502",
    once: true,
    error: { status: 500, code: 2, isTransient: true, message: "Service temporarily unavailable" },
  },
  // Throttles
  throttled_app: { suffix: "604", error: throttle(4, "Application request limit reached") },
  throttled_app_transient: {
    suffix: "605",
    error: { status: 403, code: 4, subcode: 1349210, isTransient: true, message: "Application request limit reached" },
  },
  throttled_user: { suffix: "617", error: throttle(17, "User request limit reached") },
  throttled_page_calls: { suffix: "632", error: throttle(32, "Page request limit reached") },
  throttled_limit: { suffix: "641", error: throttle(341, "Application limit reached") },
  throttled_custom: { suffix: "613", error: throttle(613, "Calls to this api have exceeded the rate limit") },
  throttled_inconsistent: { suffix: "614", error: refusal(400, 613, "Inconsistent call volume", 1996) },
  throttled_messaging: { suffix: "615", error: refusal(400, 613, "Messaging call volume exceeded", 2534040) },
  throttled_page: { suffix: "681", error: refusal(400, 80001, "There have been too many calls to this Page account") },
  throttled_account: {
    suffix: "682",
    error: {
      status: 400,
      code: 80006,
      message: "There have been too many calls to this account",
      onInstagram: { code: 80002 },
    },
  },
  // The transport
  hang: { suffix: "801", fault: "hang" },
  trickle: { suffix: "802", fault: "trickle" },
  html: { suffix: "803", fault: "html" },
  cut_off: { suffix: "804", fault: "cut_off" },
  huge: { suffix: "805", fault: "huge" },
  redirect: { suffix: "806", fault: "redirect" },
  empty_body: { suffix: "807", fault: "empty_body" },
  truncated_json: { suffix: "808", fault: "truncated_json" },
  bad_gateway: { suffix: "809", fault: "bad_gateway" },
  // Answers that are wrong
  wrong_id: { suffix: "901", twist: "wrong_id" },
  bare_string: { suffix: "902", twist: "bare_string" },
  list_body: { suffix: "903", twist: "list_body" },
  wrong_types: { suffix: "904", twist: "wrong_types" },
  huge_name: { suffix: "905", twist: "huge_name" },
  nul_name: { suffix: "906", twist: "nul_name" },
  lone_surrogate: { suffix: "907", twist: "lone_surrogate" },
  rtl_name: { suffix: "908", twist: "rtl_name" },
  hostile_picture: { suffix: "920", twist: "hostile_picture" },
  null_item: { suffix: "930", batch: "null_item" },
  batch_missing: { suffix: "931", batch: "batch_missing" },
  batch_extra: { suffix: "932", batch: "batch_extra" },
  batch_reordered: { suffix: "933", batch: "batch_reordered" },
} as const satisfies Record<string, TroubleRow>;

export type SandboxTrouble = keyof typeof table;
export const troubleTable: Readonly<Record<SandboxTrouble, TroubleRow>> = table;
export const sandboxTroubles = Object.keys(table) as readonly SandboxTrouble[];

/** What a seeded world hands out by `troubleShare`: troubles of one person only, never one that stops an account. */
export const personalTroubles = [
  "no_consent",
  "no_consent",
  "no_consent",
  "gone",
  "unavailable",
  "missing",
  "server_error_once",
  "null_item",
] as const satisfies readonly SandboxTrouble[];

/** The suffix of a person who is well. */
export const wellSuffix = "000";
const handPicked = /^999\d{10,14}(\d{3})$/;
const troubleBySuffix = new Map(sandboxTroubles.map((trouble) => [troubleTable[trouble].suffix, trouble]));

/** Reads an id that was chosen by hand. `null`: not such an id, or a suffix that stands in no row. */
export function readHandPickedTrouble(id: string): { trouble: SandboxTrouble | null } | null {
  const suffix = handPicked.exec(id)?.[1];
  if (suffix === undefined) return null;
  if (suffix === wellSuffix) return { trouble: null };
  const trouble = troubleBySuffix.get(suffix);
  return trouble === undefined ? null : { trouble };
}

/** Whether a text names a trouble: for control routes and flags. */
export function isSandboxTrouble(value: unknown): value is SandboxTrouble {
  return typeof value === "string" && Object.hasOwn(table, value);
}
