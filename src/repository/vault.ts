import { createCipheriv, createDecipheriv, createHash, randomBytes } from "node:crypto";
import { SyncError } from "../domain/error.ts";

/** AES-256: a key is 32 bytes, given as 64 hex digits or 44 characters of base64. */
export const keyBytes = 32;
/** What GCM is specified for: 96 bits. A fresh one for every sealing. */
const nonceBytes = 12;
const tagBytes = 16;

export type Vault = ReturnType<typeof createVault>;

/**
 * Seals tokens at rest with AES-256-GCM. The sealed text is `v1.<key id>.<base64url of nonce, tag and cipher>`; the
 * key id (8 hex digits of the key's hash) tells which key opens it, so that keys can be rotated. `context` is bound in:
 * a token sealed for one account does not open for another.
 */
export function createVault(key: Uint8Array) {
  if (key.length !== keyBytes)
    throw new SyncError("config_invalid", `Cannot use SOCIAL_SYNC_ENCRYPTION_KEY: it must be ${keyBytes} bytes`);
  const keyId = createHash("sha256").update(key).digest("hex").slice(0, 8);
  return {
    keyId,
    seal(secret: string, context: string): string {
      const nonce = randomBytes(nonceBytes);
      const cipher = createCipheriv("aes-256-gcm", key, nonce).setAAD(Buffer.from(context));
      const sealed = Buffer.concat([cipher.update(secret, "utf8"), cipher.final()]);
      return `v1.${keyId}.${Buffer.concat([nonce, cipher.getAuthTag(), sealed]).toString("base64url")}`;
    },
    /** Throws `config_invalid` where another key sealed it, or it was changed. */
    open(sealed: string, context: string): string {
      const [version, sealedWith, body] = sealed.split(".");
      if (version !== "v1" || body === undefined)
        throw new SyncError("config_invalid", "Cannot open a stored token: its form is unknown");
      if (sealedWith !== keyId)
        throw new SyncError(
          "config_invalid",
          `Cannot open a stored token: it was sealed with key ${sealedWith}, SOCIAL_SYNC_ENCRYPTION_KEY is key ${keyId}`,
        );
      const bytes = Buffer.from(body, "base64url");
      try {
        const decipher = createDecipheriv("aes-256-gcm", key, bytes.subarray(0, nonceBytes))
          .setAAD(Buffer.from(context))
          .setAuthTag(bytes.subarray(nonceBytes, nonceBytes + tagBytes));
        return Buffer.concat([decipher.update(bytes.subarray(nonceBytes + tagBytes)), decipher.final()]).toString(
          "utf8",
        );
      } catch (cause) {
        throw new SyncError("config_invalid", "Cannot open a stored token: it was changed", { cause });
      }
    },
  };
}

/** Reads a key as 64 hex digits or base64; null where it is neither. */
export function parseKey(text: string): Uint8Array | null {
  const trimmed = text.trim();
  if (/^[0-9a-fA-F]{64}$/.test(trimmed)) return Buffer.from(trimmed, "hex");
  const bytes = Buffer.from(trimmed, "base64");
  return bytes.length === keyBytes && /^[A-Za-z0-9+/_-]{43}=?$/.test(trimmed) ? bytes : null;
}
