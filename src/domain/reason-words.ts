import type { ReasonCode } from "./profile.ts";

/** A reason in words: what it means, as a whole sentence, and what a person can do (null: nothing). */
export type ReasonWords = { readonly means: string; readonly advice: string | null };

const newToken = "Make a new token and hand it over with social-sync accounts add.";
const wait = "Nothing needs doing; it is tried again by itself.";

/** Every reason there is. The compiler refuses one without words. */
const words: Readonly<Record<ReasonCode, ReasonWords>> = {
  no_consent: {
    means: "The person has not consented: Instagram shows a profile only of people who have written to the account.",
    advice: "Nothing can be done from this side: the person must write, or tap an icebreaker or the menu.",
  },
  gone: { means: "Instagram has no such user any more.", advice: null },
  unavailable: { means: "Instagram calls the person unavailable for now.", advice: wait },
  invalid_id: {
    means: "Instagram knows nobody of this id for this account.",
    advice: "If this is so for many people, check that the account was added with the right login and token.",
  },
  not_visible: { means: "Instagram does not show this person to the account.", advice: null },
  token_missing: {
    means: "There is no token for the account.",
    advice: "Hand one over with social-sync accounts add.",
  },
  token_unreadable: {
    means: "The stored token cannot be opened: it was sealed with another key.",
    advice: "Set the SOCIAL_SYNC_ENCRYPTION_KEY it was sealed with, or hand the token over again with accounts add.",
  },
  token_dead: { means: "Instagram says that the account's token is dead.", advice: newToken },
  permission_missing: {
    means: "Instagram says that a permission is missing.",
    advice: "Grant the app the messaging permission, then hand over a new token with social-sync accounts add.",
  },
  page_not_linked: {
    means: "The Page is not linked to the Instagram account.",
    advice: "Link them in Meta's settings, then run social-sync accounts add again.",
  },
  access_level: {
    means: "Instagram refused nearly everybody within an hour: the app's access level does not reach them.",
    advice: "The app needs Advanced Access (App Review in Meta's dashboard) for people who have no role on it.",
  },
  proof_refused: {
    means: "Instagram refused the proof of the app secret.",
    advice: "Set META_APP_SECRET to the secret of the app that issued the token, then run accounts add again.",
  },
  abuse_block: {
    means: "Instagram has blocked the app for a while, as abusive.",
    advice: "The app's dashboard at Meta says why.",
  },
  server_error: { means: "Instagram had trouble of its own.", advice: wait },
  timeout: { means: "Instagram did not answer in time.", advice: wait },
  network: {
    means: "Instagram could not be reached.",
    advice: "Check this machine's network; it is tried again by itself.",
  },
  bad_answer: { means: "Instagram's answer made no sense.", advice: wait },
  wrong_person: { means: "Instagram answered for somebody else, which was refused.", advice: wait },
  not_answered: { means: "The question was not asked to the end.", advice: wait },
  missing_or_forbidden: { means: "Instagram does not tell whether the person exists or may be seen.", advice: null },
  bad_request: {
    means: "Instagram does not know what was asked for: a bug in social-sync.",
    advice: "Please report it. It is not tried again by itself.",
  },
  unknown_code: {
    means: "Instagram gave a reason that nobody knows.",
    advice: "The log at SOCIAL_SYNC_LOG_LEVEL=debug shows its answer's code.",
  },
  graph_away: { means: "Instagram's own servers fail, so nobody was asked.", advice: wait },
  throttled: { means: "Instagram's limit was reached, so the question waits.", advice: wait },
};

/** The words for a stored reason; null where there is none, or a newer program wrote it. */
export function reasonWords(reason: string | null): ReasonWords | null {
  return reason !== null && isReason(reason) ? words[reason] : null;
}

const isReason = (text: string): text is ReasonCode => Object.hasOwn(words, text);
