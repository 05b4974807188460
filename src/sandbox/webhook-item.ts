/**
 * One webhook item of every kind, as meta-platform.md §2 describes them. Pure. Items that speak of an earlier message
 * take its `mid`.
 */
import type { SandboxAccount } from "./world.ts";

export const attachmentTypes = [
  "image",
  "video",
  "audio",
  "file",
  "media",
  "share",
  "ig_post",
  "ig_reel",
  "reel",
  "story",
  "ig_story",
  "story_mention",
  "ephemeral",
  "template",
  "fallback",
] as const;
export type AttachmentType = (typeof attachmentTypes)[number];

const otherKinds = [
  "text",
  "quick_reply",
  "reply",
  "story_reply",
  "images",
  "unsupported",
  "reaction",
  "unreact",
  "read",
  "edit",
  "delete",
  "postback",
  "referral",
  "ad_referral",
  "echo",
  "self",
  "standby",
  "comment",
] as const;
export type SandboxEventKind = (typeof otherKinds)[number] | AttachmentType;
export const sandboxEventKinds: readonly SandboxEventKind[] = [...otherKinds, ...attachmentTypes];

/** What a customer sends; echoes, comments and notes to oneself are not among them. */
export const inboundKinds = sandboxEventKinds.filter(
  (kind) => kind !== "echo" && kind !== "self" && kind !== "comment",
);

export function isSandboxEventKind(value: unknown): value is SandboxEventKind {
  return sandboxEventKinds.some((kind) => kind === value);
}

/** Where in an entry an item stands. */
export type WebhookChannel = "messaging" | "standby" | "changes";
export type SandboxEvent = {
  readonly accountId: string;
  readonly channel: WebhookChannel;
  readonly kind: SandboxEventKind;
  readonly personId: string;
  /** The `mid` the item carries: an earlier one where it speaks of an earlier message; `null` where it carries none. */
  readonly mid: string | null;
  readonly timestampMs: number;
  readonly item: Readonly<Record<string, unknown>>;
};

export type EventInput = {
  readonly account: Pick<SandboxAccount, "instagramId" | "username">;
  readonly person: { readonly id: string; readonly username: string };
  readonly kind: SandboxEventKind;
  /** The new message's id. */
  readonly mid: string;
  /** An earlier message of the same person: what a reaction, edit, read, delete or reply is about. */
  readonly earlierMid: string;
  /** How often that message was edited, this time included. */
  readonly edits: number;
  readonly timestampMs: number;
  readonly text: string;
};

/** What speaks of an earlier message and brings none of its own. */
const aboutEarlierKinds: ReadonlySet<SandboxEventKind> = new Set(["reaction", "unreact", "read", "edit", "delete"]);
const withoutMidKinds: ReadonlySet<SandboxEventKind> = new Set(["referral", "comment"]);

/** Whether an event is a message of the customer's own, which they may edit, unsend or be answered to later. */
export function isOwnMessage(kind: SandboxEventKind): boolean {
  return (
    !aboutEarlierKinds.has(kind) &&
    !withoutMidKinds.has(kind) &&
    kind !== "echo" &&
    kind !== "self" &&
    kind !== "postback"
  );
}

/** Builds one event. */
export function buildEvent(input: EventInput): SandboxEvent {
  const { account, kind, timestampMs } = input;
  // A note to oneself goes to the account's *own* scoped id (§2.2), which is nobody of the world's.
  const person = kind === "self" ? { id: `${account.instagramId.slice(5)}9001` } : input.person;
  const mid = withoutMidKinds.has(kind) ? null : aboutEarlierKinds.has(kind) ? input.earlierMid : input.mid;
  const channel: WebhookChannel = kind === "comment" ? "changes" : kind === "standby" ? "standby" : "messaging";
  const outgoing = kind === "echo" || kind === "self";
  const item =
    kind === "comment"
      ? buildComment(input)
      : {
          sender: { id: outgoing ? account.instagramId : person.id },
          recipient: { id: outgoing ? person.id : account.instagramId },
          timestamp: timestampMs,
          ...buildContent(input),
        };
  return { accountId: account.instagramId, channel, kind, personId: person.id, mid, timestampMs, item };
}

function buildContent(input: EventInput): Record<string, unknown> {
  const { kind, mid, earlierMid, text } = input;
  switch (kind) {
    case "text":
    case "standby":
    case "comment":
      return { message: { mid, text } };
    case "echo":
      return { message: { mid, text, is_echo: true } };
    case "self":
      return { message: { mid, text, is_echo: true, is_self: true } };
    case "quick_reply":
      return { message: { mid, text, quick_reply: { payload: "SIZE_38" } } };
    case "reply":
      return { message: { mid, text, reply_to: { mid: earlierMid } } };
    case "story_reply":
      return { message: { mid, text, reply_to: { story: { id: "17900000000000001", url: createMediaUrl(mid) } } } };
    case "images":
      return { message: { mid, attachments: [0, 1, 2].map((at) => buildAttachment("image", `${mid}${at}`)) } };
    case "unsupported":
      return { message: { mid, is_unsupported: true } };
    case "reaction":
      return { reaction: { mid: earlierMid, action: "react", reaction: "love", emoji: "\u2764\ufe0f" } };
    case "unreact":
      return { reaction: { mid: earlierMid, action: "unreact" } };
    case "read":
      return { read: { mid: earlierMid } };
    case "edit":
      return { message_edit: { mid: earlierMid, text: `${text} (edited ${input.edits})`, num_edit: input.edits } };
    case "delete":
      return { message: { mid: earlierMid, is_deleted: true } };
    case "postback":
      return { postback: { mid, title: "Öffnungszeiten", payload: "OPENING_HOURS" } };
    case "referral":
      return { referral: { ref: "spring", source: "IGME-SOURCE-LINK", type: "OPEN_THREAD" } };
    case "ad_referral":
      return { message: { mid, text, referral: buildAdReferral(mid) } };
    default:
      return { message: { mid, attachments: [buildAttachment(kind, mid)] } };
  }
}

function buildAttachment(type: AttachmentType, mid: string): Record<string, unknown> {
  const url = createMediaUrl(mid);
  switch (type) {
    case "ephemeral":
      return { type }; // View-once: no payload at all (§2.4).
    case "ig_post":
      return { type, payload: { ig_post_media_id: "17900000000000002", title: "Unser Frühling 🌷", url } };
    case "ig_reel":
    case "reel":
      return { type, payload: { reel_video_id: "17900000000000003", title: "How it's made", url } };
    case "story":
    case "ig_story":
      return { type, payload: { story_media_id: "17900000000000004", story_media_url: url } };
    case "template":
      return { type, payload: { generic: { elements: [{ title: "Size 38", subtitle: "In stock" }] } } };
    case "fallback":
      return { type, payload: { title: "A link", url: "https://example.com/" } };
    default:
      return { type, payload: { url } };
  }
}

function createMediaUrl(mid: string): string {
  const asset = [...mid.slice(-24)].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 1e15, 7);
  return `https://lookaside.fbsbx.com/ig_messaging_cdn/?asset_id=${String(asset).padStart(15, "1")}&signature=${mid.slice(-40)}`;
}

function buildAdReferral(mid: string) {
  const context = { ad_title: "Frühling", photo_url: createMediaUrl(mid), video_url: createMediaUrl(`${mid}v`) };
  return {
    ref: "spring-ad",
    ad_id: "120000000000000001",
    source: "ADS",
    type: "OPEN_THREAD",
    ads_context_data: context,
  };
}

function buildComment({ person, mid, text }: EventInput): Record<string, unknown> {
  const media = { id: "17800000000000001", media_product_type: "FEED" };
  return {
    field: "comments",
    value: { id: `179${digitsOf(mid)}`, from: { id: person.id, username: person.username }, text, media },
  };
}

function digitsOf(mid: string): string {
  const sum = [...mid].reduce((all, letter) => (all * 33 + letter.charCodeAt(0)) % 1e14, 5);
  return String(sum).padStart(14, "0");
}
