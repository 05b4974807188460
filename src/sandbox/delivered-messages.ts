/**
 * The messages that webhooks brought, as the inbox lists them afterwards: by the same ids (meta-platform.md §7.1), the
 * latest few of each person, bounded in all.
 */
import type { SandboxEvent } from "./webhook-item.ts";

export type DeliveredMessage = {
  readonly mid: string;
  readonly text: string | undefined;
  readonly isOutgoing: boolean;
  readonly isUnsupported: boolean;
  readonly attachments: readonly unknown[];
  readonly replyTo: string | null;
  readonly atMs: number;
};

/** Of one thread, the oldest fall out: the inbox tells the details of no more (§7.2). */
export const deliveredPerPersonMax = 20;
/** People whose messages are remembered; whoever was silent longest falls out. About 20 MB at most. */
export const deliveredPeopleMax = 2_000;

export type DeliveredMessages = ReturnType<typeof createDeliveredMessages>;

/** Makes the memory of one account. */
export function createDeliveredMessages() {
  const byPerson = new Map<string, DeliveredMessage[]>();
  return {
    /** Oldest first. */
    of: (personId: string): readonly DeliveredMessage[] => byPerson.get(personId) ?? [],
    /** Notes what an event did to its thread: a message more, one fewer, or another text. */
    note: (event: SandboxEvent): void => {
      const before = byPerson.get(event.personId) ?? [];
      const after = change(before, event);
      byPerson.delete(event.personId);
      if (after.length > 0) byPerson.set(event.personId, after);
      const [silent] = byPerson.keys();
      if (byPerson.size > deliveredPeopleMax && silent !== undefined) byPerson.delete(silent);
    },
  };
}

function change(before: readonly DeliveredMessage[], event: SandboxEvent): DeliveredMessage[] {
  const { mid, kind, item } = event;
  if (mid === null) return [...before];
  const edit = readObject(item.message_edit);
  if (edit !== null) return before.map((one) => (one.mid === mid ? { ...one, text: readText(edit.text) } : one));
  const message = readObject(item.message);
  if (message === null) return [...before];
  if (message.is_deleted === true) return before.filter((one) => one.mid !== mid);
  const replyTo = readObject(message.reply_to)?.mid;
  const added: DeliveredMessage = {
    mid,
    text: readText(message.text),
    isOutgoing: kind === "echo",
    isUnsupported: message.is_unsupported === true,
    attachments: Array.isArray(message.attachments) ? message.attachments.map(writeAttachment) : [],
    replyTo: typeof replyTo === "string" ? replyTo : null,
    atMs: event.timestampMs,
  };
  return [...before, added].slice(-deliveredPerPersonMax);
}

/** The inbox words attachments otherwise than webhooks do: by the kind of data, and with the link alone (§7.2). */
function writeAttachment(value: unknown): unknown {
  const attachment = readObject(value);
  const url = readObject(attachment?.payload)?.url;
  if (attachment?.type === "image") return { image_data: { url } };
  return attachment?.type === "video" ? { video_data: { url } } : { file_url: url };
}

function readObject(value: unknown): Readonly<Record<string, unknown>> | null {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : null;
}

function readText(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}
