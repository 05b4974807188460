/** Whole HTTP requests as Instagram sends them, made and signed before any clock starts. */
import { createHash, createHmac } from "node:crypto";

export type DeliveryOptions = {
  readonly port: number;
  readonly secret: string;
  readonly accountId: string;
  readonly sentAtMs: number;
};

const texts = [
  "Hi! Is the blue one still available in size M? \\ud83d\\ude42",
  "Thank you so much, it arrived today and it is perfect",
  "caf\\u00e9 open on Sunday too?",
  "How long does shipping to Lisbon take, and can I pay on delivery?",
];

/** One inbound message of `personId`, the `serial`-th of its run: about 400 bytes of JSON, escaped as Meta escapes. */
export function buildDeliveryBytes(options: DeliveryOptions, personId: string, serial: number): Buffer {
  const { port, secret, accountId, sentAtMs } = options;
  const unique = createHash("sha512").update(`${personId} ${serial}`).digest("base64url");
  const mid = `aWdfZAG1faXRlbToxOklHTWVzc2FnZAUlEOj${unique}`;
  const body = Buffer.from(
    `{"object":"instagram","entry":[{"time":${sentAtMs + 700},"id":"${accountId}","messaging":[{"sender":{"id":"${personId}"},` +
      `"recipient":{"id":"${accountId}"},"timestamp":${sentAtMs},"message":{"mid":"${mid}","text":"${texts[serial % texts.length]}"}}]}]}`,
  );
  const signature = createHmac("sha256", secret).update(body).digest("hex");
  const head =
    `POST /webhooks/instagram HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUser-Agent: facebookexternalua\r\nAccept: */*\r\n` +
    `Content-Type: application/json\r\nX-Hub-Signature-256: sha256=${signature}\r\nContent-Length: ${body.length}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head, "latin1"), body]);
}
