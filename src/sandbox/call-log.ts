/**
 * The log of Graph calls, bounded, and counters that go on when the log has wrapped. No query and so no token is ever
 * kept.
 */
import { assert } from "../lib/assert.ts";
import type { SandboxLogin } from "./world.ts";

/** About 2 MB. */
export const callLogMaxDefault = 10_000;

export type SandboxCall = {
  /** On the monotonic clock of the box, at the moment the call came in. */
  readonly atMs: number;
  readonly host: SandboxLogin;
  readonly method: string;
  /** After the host's prefix, without the query. */
  readonly path: string;
  /** The Instagram id of the token's account; `null` where the token is nobody's. */
  readonly accountId: string | null;
  /** The people asked for: one for a profile call, each in a batch. */
  readonly personIds: readonly string[];
  readonly status: number;
  /** The error code of the answer as a whole; a batch that was answered has none. */
  readonly code: number | null;
};

export type SandboxCounts = {
  /** HTTP requests to the two hosts. */
  requests: number;
  /** HTTP requests that asked for at least one profile; a batch is one. */
  profileRequests: number;
  /** Profiles asked for; each item of a batch is one. */
  profileItems: number;
  /** HTTP requests to the conversations edge. */
  listRequests: number;
  batchRequests: number;
  /** Calls answered with a throttle code, items of a batch included. */
  throttled: number;
  /** Requests to /inside, which only a client that follows redirects makes. */
  redirectsFollowed: number;
};

export type SandboxCalls = ReturnType<typeof createCallLog>;

/** Makes a log of at most `max` calls; the oldest fall out. */
export function createCallLog(max: number) {
  assert(Number.isInteger(max) && max >= 0, `callLogMax must be a whole number, got ${max}`);
  let ring: SandboxCall[] = [];
  let next = 0;
  let counts = createCounts();
  return {
    /** The calls kept, oldest first. */
    list: (): SandboxCall[] => [...ring.slice(next), ...ring.slice(0, next)],
    counts: (): Readonly<SandboxCounts> => ({ ...counts }),
    get profileRequests(): number {
      return counts.profileRequests;
    },
    get profileItems(): number {
      return counts.profileItems;
    },
    get listRequests(): number {
      return counts.listRequests;
    },
    get throttled(): number {
      return counts.throttled;
    },
    add: (call: SandboxCall): void => {
      if (ring.length < max) {
        ring.push(call);
      } else if (max > 0) {
        ring[next] = call; // Full: the oldest stands here.
        next = (next + 1) % max;
      }
    },
    count: (name: keyof SandboxCounts, by = 1): void => {
      counts[name] += by;
    },
    reset: (): void => {
      ring = [];
      next = 0;
      counts = createCounts();
    },
  };
}

function createCounts(): SandboxCounts {
  return {
    requests: 0,
    profileRequests: 0,
    profileItems: 0,
    listRequests: 0,
    batchRequests: 0,
    throttled: 0,
    redirectsFollowed: 0,
  };
}
