import { timingSafeEqual } from "node:crypto";

const signaturePattern = /^sha256=([0-9a-f]{64})$/;

/**
 * Tells whether one of `secrets` signed exactly these bytes (`X-Hub-Signature-256`, meta-platform.md §1.2). Every
 * secret is tried in constant time: several are configured during a rotation, and for the two dashboards. The legacy
 * SHA-1 header is not looked at. Pure.
 */
export function verifySignature(body: Uint8Array, header: string | null, secrets: readonly string[]): boolean {
  const hex = header === null ? null : signaturePattern.exec(header)?.[1];
  if (hex === undefined || hex === null) return false;
  const given = Buffer.from(hex, "hex");
  let matches = false;
  for (const secret of secrets) {
    const expected = new Bun.CryptoHasher("sha256", secret).update(body).digest();
    if (timingSafeEqual(expected, given)) matches = true;
  }
  return matches;
}
