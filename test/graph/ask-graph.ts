import { expect } from "bun:test";
import type { AccountAccess } from "../../src/domain/account.ts";
import type { ParticipantId } from "../../src/domain/ids.ts";
import type { LookupAnswer } from "../../src/domain/profile.ts";
import type { GraphClient } from "../../src/graph/graph-client.ts";
import { participantIdOf, shop } from "../cache/profiles.ts";
import { token } from "./graph-server.ts";

export const page: AccountAccess = { id: shop, login: "facebook", pageId: "645699000000000", token };
export const direct: AccountAccess = { id: shop, login: "instagram", pageId: null, token };
export const never = new AbortController().signal;
export const idsOf = (count: number) => Array.from({ length: count }, (_, index) => participantIdOf(`${1000 + index}`));

/** An answer in two words. */
function say(answer: LookupAnswer | undefined): string {
  if (answer === undefined) return "no answer";
  if (answer.kind === "found") return "found";
  return answer.kind === "throttled" ? `throttled ${answer.scope}` : `${answer.kind} ${answer.reason}`;
}

/** Looks `ids` up; expects one answer for each, and gives them in words too. */
export async function ask(client: GraphClient, access: AccountAccess, ids: readonly ParticipantId[]) {
  const result = await client.fetchProfiles(access, ids, never);
  expect([...result.answers.keys()]).toEqual([...new Set(ids)]);
  return { ...result, said: [...result.answers.values()].map(say) };
}
