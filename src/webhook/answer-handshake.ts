import { createHash, timingSafeEqual } from "node:crypto";

/** Meta sends a number; anything a browser could run is not reflected. */
const challengePattern = /^[A-Za-z0-9_-]{1,128}$/;

/**
 * The answer to Meta's `GET` on the webhook: the challenge on the right verify token, else null
 * (meta-platform.md §1.1). Constant-time over hashes, so that neither length nor content of the token shows. Pure.
 */
export function answerHandshake(query: URLSearchParams, verifyToken: string | null): string | null {
  const challenge = query.get("hub.challenge") ?? "";
  const given = query.get("hub.verify_token") ?? "";
  if (verifyToken === null || query.get("hub.mode") !== "subscribe" || !challengePattern.test(challenge)) return null;
  const hash = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(hash(given), hash(verifyToken)) ? challenge : null;
}
