/**
 * The bytes of a spool file, pure. A segment is a head of 8 bytes and then records, nothing between them. A record is
 * 16 bytes of header (marker, payload length, payload CRC-32, CRC-32 of these 12) and the payload (receivedAtMs as f64,
 * headers length as u32, headers as JSON, body). Numbers are little-endian.
 */
import { crc32 } from "node:zlib";

/** A delivery as it came: nothing in it was looked at. */
export type SpoolRecord = {
  readonly receivedAtMs: number;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Uint8Array;
};

/** What stands in a segment from `start` up to `end`. `torn` is the end of the file: a write that a crash cut short. */
export type Stretch =
  | { readonly kind: "record"; readonly start: number; readonly end: number; readonly record: SpoolRecord }
  | { readonly kind: "damaged" | "torn"; readonly start: number; readonly end: number };

/** A record's bytes in two parts, so that the body is copied once, into the write. */
export type EncodedRecord = { readonly head: Uint8Array; readonly body: Uint8Array; readonly bytes: number };

const formatVersion = 1;
/** The version stands beside its complement: one flipped bit must not look like a newer format. */
const headOf = (version: number) => Buffer.from([0x53, 0x50, 0x4f, 0x4f, 0x4c, version, version ^ 0xff, 0x0a]);
export const segmentHead: Uint8Array = headOf(formatVersion);
/** 0xfb and 0xfe stand in no UTF-8, so neither JSON nor a text inside a body can pass for a record after damage. */
const marker = Buffer.from([0xfb, 0x53, 0x52, 0xfe]);
const headerBytes = 16;
const fixedPayloadBytes = 12;

export function encodeRecord({ receivedAtMs, headers, body }: SpoolRecord): EncodedRecord {
  const names = Buffer.from(JSON.stringify(headers), "utf8");
  const head = Buffer.alloc(headerBytes + fixedPayloadBytes + names.length);
  head.writeDoubleLE(receivedAtMs, headerBytes);
  head.writeUInt32LE(names.length, headerBytes + 8);
  head.set(names, headerBytes + fixedPayloadBytes);
  head.set(marker, 0);
  head.writeUInt32LE(head.length - headerBytes + body.length, 4);
  head.writeUInt32LE(crc32(body, crc32(head.subarray(headerBytes))), 8);
  head.writeUInt32LE(crc32(head.subarray(0, 12)), 12);
  return { head, body, bytes: head.length + body.length };
}

/** Judges a file's first bytes. `short`: a crash came before the head was written, so no record was acknowledged in it. */
export function readSegmentHead(bytes: Uint8Array): "ours" | "newer" | "short" | "foreign" {
  const start = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, segmentHead.length));
  if (start.equals(segmentHead)) return "ours";
  if (isZero(bytes) || (start.length < segmentHead.length && start.equals(segmentHead.subarray(0, start.length))))
    return "short";
  const version = start[5] ?? 0;
  return version > formatVersion && start.equals(headOf(version)) ? "newer" : "foreign";
}

/**
 * Walks through the records of `bytes`, which end where the durable segment ends, from the boundary `from` on. The
 * stretches are in order and leave nothing out. Never throws: after damage it goes on at the next header that is whole.
 * Bodies are views into `bytes`.
 */
export function* scanRecords(bytes: Uint8Array, from: number): Generator<Stretch> {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  let at = from;
  while (at < file.length) {
    const stretch = readStretch(file, at);
    yield stretch;
    at = stretch.end;
  }
}

function readStretch(file: Buffer, start: number): Stretch {
  if (!isHeader(file, start)) {
    const next = findHeader(file, start + 1);
    const unfinished = next === file.length && (next - start < headerBytes || isZero(file.subarray(start)));
    return { kind: unfinished ? "torn" : "damaged", start, end: next };
  }
  const end = start + headerBytes + file.readUInt32LE(start + 4);
  if (end > file.length) return { kind: "torn", start, end: file.length };
  const payload = file.subarray(start + headerBytes, end);
  const record = crc32(payload) === file.readUInt32LE(start + 8) ? readPayload(payload) : null;
  return record === null ? { kind: "damaged", start, end } : { kind: "record", start, end, record };
}

const isHeader = (file: Buffer, at: number) =>
  at + headerBytes <= file.length &&
  file.compare(marker, 0, marker.length, at, at + marker.length) === 0 &&
  crc32(file.subarray(at, at + 12)) === file.readUInt32LE(at + 12);

function findHeader(file: Buffer, from: number): number {
  for (let at = file.indexOf(marker, from); at !== -1; at = file.indexOf(marker, at + 1))
    if (isHeader(file, at)) return at;
  return file.length;
}

function readPayload(payload: Buffer): SpoolRecord | null {
  if (payload.length < fixedPayloadBytes) return null;
  const bodyStart = fixedPayloadBytes + payload.readUInt32LE(8);
  if (bodyStart > payload.length) return null;
  const headers = readHeaders(payload.subarray(fixedPayloadBytes, bodyStart));
  return headers && { receivedAtMs: payload.readDoubleLE(0), headers, body: payload.subarray(bodyStart) };
}

function readHeaders(bytes: Uint8Array): SpoolRecord["headers"] | null {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    return null;
  }
  if (!Array.isArray(value)) return null;
  const pairs = value.filter(isPair);
  return pairs.length === value.length ? pairs : null;
}

const isPair = (value: unknown): value is [string, string] =>
  Array.isArray(value) && value.length === 2 && value.every((part) => typeof part === "string");

const isZero = (bytes: Uint8Array) => bytes.every((byte) => byte === 0);
