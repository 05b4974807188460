import type { Login } from "../domain/account.ts";
import type { AccountId } from "../domain/ids.ts";
import { batchSizeMax, graphsOwnFailures } from "../domain/profile.ts";
import type { Clock } from "../lib/clock.ts";
import type { Log } from "../lib/log.ts";
import { totalTimeoutMsDefault } from "./graph-client.ts";

/**
 * Calls in a row that brought nothing but Graph's own failures, about at least so many different people, after which a
 * host is left alone. One person whom Graph always fails on (code 2 may be a block, meta-platform.md §3.4) is not enough.
 * A batch is one call, so that one that went wrong is not enough either; GETs are one each.
 */
export const failedCallsMax = 5;
export const failedPeopleMin = 5;
/** While a host is left alone, one person an account is asked so often. */
export const probeEveryMs = 30_000;
/** Longest that a probe's answer is waited for, a lookup's own deadline: whoever comes meanwhile need not wait for the next probe. */
export const probeAnswerMsMax = totalTimeoutMsDefault;

export type CircuitState = {
  /** Since when the host has been left alone (wall time, ms); null: it answers. */
  readonly failingSinceMs: number | null;
};

/** All that counts of an answer here: whether it failed, and of what. */
export type CircuitAnswer = { readonly kind: string; readonly reason?: string };

export type Circuit = ReturnType<typeof createCircuit>;

type Host = {
  failedCalls: number;
  /** The first few people of those calls. */
  readonly people: Set<string>;
  failingSinceMs: number | null;
  openedAtMs: number;
  /** Each account's last probe: when it went (monotonic ms), and whether it is answered. An entry an account that somebody added. */
  readonly probes: Map<AccountId, { readonly atMs: number; readonly answered: boolean }>;
};

/**
 * Leaves a host of Graph's alone while it fails of itself: 5xx, time-outs, code 1 and 2, no connection. Errors about
 * people, tokens and limits are answers, and tell that it works. Synchronous, so that two callers never share a probe.
 */
export function createCircuit({
  clock,
  log,
}: {
  clock: Pick<Clock, "monotonicMs" | "nowMs">;
  log: Pick<Log, "log" | "error">;
}) {
  const hosts: Readonly<Record<Login, Host>> = { instagram: createHost(), facebook: createHost() };

  return {
    /** How many calls may go for the account: all, none, or one as a probe, which counts as taken. */
    ask(login: Login, accountId: AccountId): { readonly calls: number; readonly resumeInMs: number } {
      const host = hosts[login];
      if (host.failingSinceMs === null) return { calls: Number.POSITIVE_INFINITY, resumeInMs: 0 };
      const nowMs = clock.monotonicMs();
      const probe = host.probes.get(accountId);
      const lastMs = probe?.atMs ?? host.openedAtMs;
      if (lastMs + probeEveryMs <= nowMs) {
        host.probes.set(accountId, { atMs: nowMs, answered: false });
        return { calls: 1, resumeInMs: probeEveryMs };
      }
      const underWay = probe?.answered === false && lastMs + probeAnswerMsMax > nowMs;
      return { calls: 0, resumeInMs: Math.ceil(lastMs + (underWay ? probeAnswerMsMax : probeEveryMs) - nowMs) };
    },

    /** Notes what one call, or one round of calls, brought, by person (of a list: by what it was about). Answers whether the host is taken to work. */
    note(login: Login, answers: ReadonlyMap<string, CircuitAnswer>): boolean {
      const host = hosts[login];
      // What was held back tells nothing: it follows from the other answers.
      const told = [...answers].filter(([, answer]) => answer.kind !== "failed" || answer.reason !== "not_answered");
      if (told.length === 0) return host.failingSinceMs === null;
      if (told.some(([, answer]) => answer.kind !== "failed" || !graphsOwnFailures.includes(answer.reason ?? ""))) {
        if (host.failingSinceMs !== null) log.log(`Instagram answers again at ${hostNames[login]}`, context);
        host.failedCalls = 0;
        host.people.clear();
        host.failingSinceMs = null;
        host.probes.clear();
        return true;
      }
      for (const [id, probe] of host.probes) host.probes.set(id, { ...probe, answered: true });
      if (host.failingSinceMs !== null) return false;
      host.failedCalls += login === "facebook" ? Math.ceil(told.length / batchSizeMax) : told.length;
      for (const [id] of told) if (host.people.size < failedPeopleMin) host.people.add(id);
      if (host.failedCalls < failedCallsMax || host.people.size < failedPeopleMin) return true;
      host.failingSinceMs = clock.nowMs();
      host.openedAtMs = clock.monotonicMs();
      log.error(
        `Instagram fails at ${hostNames[login]}: one person an account is asked every 30 s until it answers`,
        context,
      );
      return false;
    },

    state: (login: Login): CircuitState => ({ failingSinceMs: hosts[login].failingSinceMs }),
  };
}

/** What Meta calls the two hosts; the settings may name others. */
export const hostNames: Readonly<Record<Login, string>> = {
  instagram: "graph.instagram.com",
  facebook: "graph.facebook.com",
};

function createHost(): Host {
  return { failedCalls: 0, people: new Set(), failingSinceMs: null, openedAtMs: 0, probes: new Map() };
}

const context = "GraphCircuit";
