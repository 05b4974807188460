/** The least that asking a page account's Graph for profiles takes: what the product is held against asks this way. */
import { createHmac } from "node:crypto";
import { appSecret } from "./product.ts";

export const graphVersion = "v26.0";
const fields = "name,username,profile_pic";

/** What Graph proves the sender of a token by (meta-platform.md §6.4). */
export const proofOf = (token: string): string => createHmac("sha256", appSecret).update(token).digest("hex");

/** The path of one person's profile. */
export const profilePath = (person: string): string => `${graphVersion}/${person}?fields=${fields}`;

/** One batch request for up to 50 people; the bodies of its items, parsed and not looked at. */
export async function fetchBatch(graphUrl: string, token: string, people: readonly string[]): Promise<unknown[]> {
  const body = new URLSearchParams({
    batch: JSON.stringify(people.map((person) => ({ method: "GET", relative_url: profilePath(person) }))),
    include_headers: "false",
    access_token: token,
    appsecret_proof: proofOf(token),
  });
  const answer = await fetch(`${graphUrl}/${graphVersion}/`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/x-www-form-urlencoded" },
    body: body.toString(),
  });
  return ((await answer.json()) as { body: string }[]).map((item) => JSON.parse(item.body));
}
