/**
 * Certificates for servers that are wrong on purpose: as right or as expired, as trusted or as foreign as a scenario
 * wants them. ECDSA P-256, made in the process, since no machine need have a tool for it.
 */
import { createPrivateKey, generateKeyPairSync, randomBytes, sign } from "node:crypto";

export type Certificate = { readonly name: string; readonly key: string; readonly cert: string };

/** `days` from now at which it begins and ends. Without `issuer` it signs itself; `ip` is whom it speaks for. */
export function makeCertificate({
  name,
  issuer = null,
  days,
  ip = null,
}: {
  readonly name: string;
  readonly issuer?: Certificate | null;
  readonly days: readonly [number, number];
  readonly ip?: string | null;
}): Certificate {
  const pair = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const key = pair.privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  const isAuthority = ip === null;
  const extensions = isAuthority
    ? extension(basicConstraints, sequence(tlv(0x01, Buffer.from([0xff]))))
    : extension(alternativeNames, sequence(tlv(0x87, Buffer.from(ip.split(".").map(Number)))));
  const body = sequence(
    tlv(0xa0, tlv(0x02, Buffer.from([2]))),
    tlv(0x02, Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    ecdsaWithSha256,
    nameOf(issuer?.name ?? name),
    sequence(...days.map(timeOf)),
    nameOf(name),
    pair.publicKey.export({ type: "spki", format: "der" }),
    tlv(0xa3, sequence(extensions)),
  );
  const signature = sign("sha256", body, createPrivateKey(issuer?.key ?? key));
  const whole = sequence(body, ecdsaWithSha256, tlv(0x03, Buffer.from([0]), signature));
  const lines = whole.toString("base64").replace(/.{64}/g, "$&\n");
  return { name, key, cert: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n` };
}

function tlv(tag: number, ...parts: Uint8Array[]): Buffer {
  const value = Buffer.concat(parts);
  const { length } = value;
  const head = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...head]), value]);
}

const sequence = (...parts: Uint8Array[]) => tlv(0x30, ...parts);
const oid = (hex: string) => tlv(0x06, Buffer.from(hex, "hex"));
const ecdsaWithSha256 = sequence(oid("2a8648ce3d040302"));
const commonName = oid("550403");
const basicConstraints = oid("551d13");
const alternativeNames = oid("551d11");
const extension = (id: Buffer, value: Buffer) => sequence(id, tlv(0x04, value));
const nameOf = (name: string) => sequence(tlv(0x31, sequence(commonName, tlv(0x0c, Buffer.from(name)))));

function timeOf(days: number): Buffer {
  const text = new Date(Date.now() + days * 86_400_000).toISOString().replace(/^..|[-:T]|\.\d+/g, "");
  return tlv(0x17, Buffer.from(text));
}
