import { createHash, timingSafeEqual } from "node:crypto";
import { problemAnswer } from "./problem.ts";

/** Answers the refusal of a request that may not use the API, or null where it may. `peer` is the address of the other end. */
export type CheckAccess = (request: Request, peer: string | null) => Response | null;

/** RFC 6750's form of a key. */
const bearerPattern = /^Bearer +([A-Za-z0-9._~+/-]+=*) *$/i;

/** Headers by which a proxy says that somebody else is asking. */
const forwardingHeaders = ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via", "cf-connecting-ip"];

export function createAccessCheck(apiKeys: readonly string[]): CheckAccess {
  if (apiKeys.length === 0) return refuseAllButLoopback;
  const hashes = apiKeys.map(hashOf);
  return (request) => {
    const header = request.headers.get("authorization");
    if (header === null) return problemAnswer("unauthorized", null, { "WWW-Authenticate": "Bearer" });
    const key = bearerPattern.exec(header)?.[1] ?? "";
    const presented = hashOf(key);
    // Every key is compared in full, over hashes of one length: time tells neither which key was close nor how close.
    let known = false;
    for (const hash of hashes) known = timingSafeEqual(hash, presented) || known;
    if (known && key !== "") return null;
    return problemAnswer("unauthorized", "This API key is not one of the server's.", {
      "WWW-Authenticate": 'Bearer error="invalid_token"',
    });
  };
}

function hashOf(key: string): Buffer {
  return createHash("sha256").update(key).digest();
}

/**
 * Without keys, only this machine may ask, and only by a loopback name: a web page whose own name was re-pointed to
 * 127.0.0.1 (DNS rebinding) sends its own name as Host, a page of another origin says so, and a proxy names its client.
 */
function refuseAllButLoopback(request: Request, peer: string | null): Response | null {
  const { headers } = request;
  const refuse = (what: string) =>
    problemAnswer(
      "forbidden",
      `${what} Without API keys the API answers this machine only; set SOCIAL_SYNC_API_KEYS to open it to others.`,
    );
  if (peer === null || !isLoopbackAddress(peer)) return refuse("The request comes from another machine.");
  const host = headers.get("host");
  if (host === null || !isLoopbackHost(host)) return refuse("The request's Host is not a loopback name.");
  if (forwardingHeaders.some((name) => headers.has(name))) return refuse("The request came through a proxy.");
  const site = headers.get("sec-fetch-site");
  const origin = headers.get("origin");
  if (site !== null ? site !== "same-origin" && site !== "none" : origin !== null && origin !== `http://${host}`)
    return refuse("The request was made by a page of another origin.");
  return null;
}

export function isLoopbackAddress(address: string): boolean {
  return address === "::1" || /^(::ffff:)?127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/i.test(address);
}

/** True for `localhost`, `*.localhost`, 127.0.0.0/8 and `[::1]`, each with or without a port. */
export function isLoopbackHost(host: string): boolean {
  const name = /^(\[[0-9a-f:.]+\]|[a-z0-9.-]+?)\.?(:\d{1,5})?$/i.exec(host)?.[1]?.toLowerCase();
  if (name === undefined) return false;
  if (name === "localhost" || name.endsWith(".localhost")) return true;
  return isLoopbackAddress(name.startsWith("[") ? name.slice(1, -1) : name);
}
