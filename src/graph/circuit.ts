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
/**
 * People of a host who are remembered as ailing: it fails on them alone. A tail of a backfill may consist of them, and a
 * circuit that counts them would crawl through it one probe at a time. Whoever is dropped counts again until marked anew.
 */
export const ailingMax = 1_000;
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
  /** Calls since the last answer, with somebody who is not ailing among those they failed on. */
  failedCalls: number;
  /** Whom those calls failed on, but for the ailing: the first `ailingMax`. */
  readonly failedPeople: Set<string>;
  /** Whom the host failed on while it answered for others, latest mark last: `ailingMax` at most. */
  readonly ailing: Set<string>;
  failingSinceMs: number | null;
  openedAtMs: number;
  /** Each account's last probe: when it went (monotonic ms), and whether it is answered. An entry an account that somebody added. */
  readonly probes: Map<AccountId, { readonly atMs: number; readonly answered: boolean }>;
};

/**
 * Leaves a host of Graph's alone while it fails of itself: 5xx, time-outs, code 1 and 2, no connection. Errors about
 * people, tokens and limits are answers, and tell that it works. Whom it failed on beside an answer about others, or
 * just before one, is ailing, and counts no more until there is an answer about them: should a host be away while only they
 * are asked, nothing but their own attempts bounds the calls. Synchronous, so that two callers never share a probe.
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
      const failed = told.filter(([, answer]) => isGraphsOwn(answer)).map(([id]) => id);
      if (failed.length < told.length) {
        if (host.failingSinceMs !== null) log.log(`Instagram answers again at ${hostNames[login]}`, context);
        // A probe's answer ends an outage, and whoever failed in it is not ailing: the next one must open the circuit as promptly.
        // An answer from before any probe was under way while the others failed: it was not the host that was away.
        const wasAway = host.failingSinceMs !== null && host.probes.size > 0;
        if (!wasAway) markAiling(host.ailing, [...host.failedPeople, ...failed]);
        for (const [id, answer] of told) if (isAbout(answer)) host.ailing.delete(id);
        host.failedCalls = 0;
        host.failedPeople.clear();
        host.failingSinceMs = null;
        host.probes.clear();
        return true;
      }
      for (const [id, probe] of host.probes) host.probes.set(id, { ...probe, answered: true });
      const counted = failed.filter((id) => !host.ailing.has(id));
      host.failedCalls += login === "facebook" ? Math.ceil(counted.length / batchSizeMax) : counted.length;
      for (const id of counted) if (host.failedPeople.size < ailingMax) host.failedPeople.add(id);
      if (host.failingSinceMs !== null) return false;
      if (host.failedCalls < failedCallsMax || host.failedPeople.size < failedPeopleMin) return true;
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
  return {
    ...{ failedCalls: 0, failedPeople: new Set(), ailing: new Set() },
    ...{ failingSinceMs: null, openedAtMs: 0, probes: new Map() },
  };
}

function markAiling(ailing: Set<string>, people: readonly string[]): void {
  for (const id of people) {
    ailing.delete(id); // a mark anew is the latest
    ailing.add(id);
  }
  for (const oldest of ailing) {
    if (ailing.size <= ailingMax) return;
    ailing.delete(oldest);
  }
}

const isGraphsOwn = ({ kind, reason }: CircuitAnswer): boolean =>
  kind === "failed" && graphsOwnFailures.includes(reason ?? "");

/** Whether it tells of whom it was asked about: a refusal of the account or a limit is everybody's, and not sent for each. */
const isAbout = (answer: CircuitAnswer): boolean =>
  answer.kind !== "blocked" && answer.kind !== "throttled" && !isGraphsOwn(answer);

const context = "GraphCircuit";
