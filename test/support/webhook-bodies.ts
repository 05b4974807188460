/** Builds small webhook bodies for tests, signed as Meta signs. */
import { createHmac } from "node:crypto";

export const account = "17841400000000001";
export const secondAccount = "17841400000000002";
export const secret = "test_app_secret";

type Item = Record<string, unknown>;

export const bytesOf = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value), "utf8");

export function sign(body: Uint8Array, appSecret = secret): string {
  return `sha256=${createHmac("sha256", appSecret).update(body).digest("hex")}`;
}

export function delivery(items: readonly Item[], accountId = account): Uint8Array {
  return bytesOf({ object: "instagram", entry: [{ id: accountId, time: 1_762_010_783_728, messaging: items }] });
}

export function inbound(person: string, mid: string, timestamp: number, rest: Item = {}, accountId = account): Item {
  return {
    sender: { id: person },
    recipient: { id: accountId },
    timestamp,
    message: { mid, text: `text of ${mid}`, ...rest },
  };
}

export function echo(person: string, mid: string, timestamp: number, accountId = account): Item {
  return {
    sender: { id: accountId },
    recipient: { id: person },
    timestamp,
    message: { mid, text: `text of ${mid}`, is_echo: true },
  };
}

export function itemOf(person: string, timestamp: number, content: Item, accountId = account): Item {
  return { sender: { id: person }, recipient: { id: accountId }, timestamp, ...content };
}
