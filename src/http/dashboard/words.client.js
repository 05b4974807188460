// What codes and times are in words.

/** What each profile status means to the person who looks. */
const statusWords = {
  pending: "Looking up the name",
  complete: "Name and picture are here",
  no_picture: "Has no picture on Instagram",
  username_only: "Only the username is known",
  no_consent: "Instagram does not show this person yet",
  not_found: "Instagram no longer shows this person",
  account_blocked: "Lookups of this account are stopped",
  failed: "The lookup failed",
};

const reasonWords = {
  no_consent: "asked again at their next message",
  gone: "the Instagram account is gone",
  unavailable: "the Instagram account is unavailable",
  invalid_id: "Instagram does not know this number",
  not_visible: "not visible to this account",
  token_unreadable: "the account’s token was sealed with another encryption key",
  token_missing: "the account has no token; add one with “social-sync accounts add”",
  token_dead: "the account's token has expired; add a new one",
  permission_missing: "the app lacks a permission",
  page_not_linked: "the Page is not linked to the Instagram account",
  access_level: "the Meta app needs Advanced Access",
  proof_refused: "the app secret does not fit the token",
  abuse_block: "Instagram has blocked the app for now",
  server_error: "Instagram had an error",
  timeout: "Instagram did not answer in time",
  network: "Instagram could not be reached",
  bad_answer: "Instagram's answer could not be read",
  wrong_person: "Instagram answered for somebody else",
  not_answered: "Instagram left this person out",
  missing_or_forbidden: "Instagram does not say whether the person exists",
  bad_request: "Instagram did not understand the question",
  unknown_code: "Instagram gave a code that is not known",
  throttled: "waiting for Instagram's limit",
  graph_away: "Instagram's servers fail; asked again soon",
};

export function profileWords({ status, reason }) {
  const state = statusWords[status] ?? status;
  if (reason === null) return status === "pending" ? `${state}…` : state;
  const why = reasonWords[reason] ?? reason;
  return status === "pending" ? `${state}: ${why}; tried again by itself` : `${state}: ${why}`;
}

/** How settled a profile is: decides the colour of its dot. */
export function profileTone(status) {
  if (status === "pending") return "waiting";
  if (status === "complete" || status === "no_picture") return "good";
  return status === "account_blocked" || status === "failed" ? "bad" : "quiet";
}

/** What a person is called for now: the name, else the username, else the number that Instagram sent. */
export function personName(conversation) {
  return conversation.participantName || conversation.participantUsername || conversation.participantPlatformId;
}

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const dayOfYear = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });

/** Short: "now", "5 min", "14:32", "3 Mar", "3 Mar 2024". */
export function timeWords(time, now = new Date()) {
  const minutes = Math.floor((now - time) / 60_000);
  if (minutes < 1) return "now";
  if (minutes < 60) return `${minutes} min`;
  if (time.toDateString() === now.toDateString()) return clock.format(time);
  return (time.getFullYear() === now.getFullYear() ? day : dayOfYear).format(time);
}

export function fullTimeWords(time) {
  return full.format(time);
}
