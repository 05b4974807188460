import type { AccountAccess } from "../domain/account.ts";
import type { ParticipantId } from "../domain/ids.ts";
import { batchSizeMax, type LookupAnswer, noEvidence } from "../domain/profile.ts";
import { chunk } from "../lib/chunk.ts";
import type { Clock } from "../lib/clock.ts";
import type { Log } from "../lib/log.ts";
import { readLoopbackOrigin } from "./check-picture-url.ts";
import { buildFailure, type Refusal } from "./classify-error.ts";
import { createConnectWatch, type ProbeConnect, probeTcp } from "./connect-watch.ts";
import { type Fetch, fetchReply, type GraphReply } from "./fetch-reply.ts";
import {
  buildBatchRequest,
  buildProfileRequest,
  buildSelfRequest,
  buildThreadListRequest,
  buildThreadMessagesRequest,
  buildThreadRequest,
  type ExtraField,
  type GraphRequest,
  type GraphTarget,
  isPathTrick,
  profileFields,
} from "./graph-request.ts";
import { createLimiter } from "./limiter.ts";
import { type Answered, processBatchReply, processProfileReply } from "./process-reply.ts";
import {
  type InboxReply,
  processThreadMessagesReply,
  processThreadsReply,
  type ThreadMessagesAnswer,
  type ThreadsAnswer,
} from "./read-inbox.ts";
import type { ProfileContext } from "./read-profile.ts";
import { processSelfReply, type SelfAnswer } from "./read-self.ts";
import { processThreadReply, type UsernameAnswer } from "./read-thread.ts";
import { type Usage, worseUsage } from "./usage.ts";

/** Single GETs under way at a time at one host, all callers together. 200 new people a second at 80 ms an answer keep 16 busy; the rest is room for slower ones. */
export const concurrencyMaxDefault = 64;
/** Batches under way at a time at one host, all callers together: a window of new people must not wait for another window's answer. */
export const batchConcurrencyMaxDefault = 32;
/** Items of one batch that came back unfinished and are asked again alone; more than these is Graph in trouble. */
export const aloneMax = 10;
/** A lookup may take this long to connect and this long in all, in ms (spec §4). */
export const connectTimeoutMsDefault = 3_000;
export const totalTimeoutMsDefault = 10_000;

export type GraphClientOptions = {
  readonly instagramUrl: string;
  readonly facebookUrl: string;
  /** `v26.0` */
  readonly version: string;
  /** The first one signs `appsecret_proof` on graph.facebook.com; none: no proof. */
  readonly appSecrets: readonly string[];
  readonly clock: Clock;
  readonly log?: Pick<Log, "debug">;
  readonly fetch?: Fetch;
  readonly connectTimeoutMs?: number;
  readonly totalTimeoutMs?: number;
  readonly concurrencyMax?: number;
  readonly batchConcurrencyMax?: number;
  /** Asked for on top of name, username and picture. */
  readonly extraFields?: readonly ExtraField[];
  /** Stands in for a bare TCP connection: see `createConnectWatch()`. */
  readonly probeConnect?: ProbeConnect;
};

/** What became of one call of `fetchProfiles()`: every asked id has exactly one answer. */
export type ProfileAnswers = {
  readonly answers: ReadonlyMap<ParticipantId, LookupAnswer>;
  /** The worst reading of the usage headers; null where none came. */
  readonly usage: Usage | null;
  /** People whose picture had an address that is not taken; name and username were kept. */
  readonly pictureRefused: readonly ParticipantId[];
  /** Calls as Instagram counts them: one a GET, one an item of a batch. Fewer than ids where the rest was held back, more where items were asked again. */
  readonly callsMade: number;
};

/** Said without asking: text that would climb in the path names nobody. */
const notAnId: LookupAnswer = { kind: "absent", reason: "invalid_id", evidence: noEvidence };

type Round = {
  readonly answered: Map<ParticipantId, Answered>;
  readonly context: ProfileContext;
  readonly signal: AbortSignal;
  usage: Usage | null;
  callsMade: number;
  /** An answer that holds for everybody not yet asked. */
  forAll: Refusal | null;
  /** Requests in a row that brought no answer at all. */
  silent: number;
};

/** True where asking on for the same account is useless or makes it worse (meta-platform.md §5.5). */
function endsRound(answer: LookupAnswer): answer is Refusal {
  if (answer.kind === "throttled") return true;
  // Not permission_missing: whether the account or one person is meant shows only over many answers (spec §4).
  return answer.kind === "blocked" && answer.reason !== "permission_missing";
}

export type GraphClient = ReturnType<typeof createGraphClient>;

/**
 * The Graph API as this product uses it (meta-platform.md §3, §4, §6). Everything that Instagram may answer is a value; only being told to stop
 * throws: SyncError `interrupted`. Tries nothing twice but an unfinished item of a batch, and never logs a token.
 */
export function createGraphClient(options: GraphClientOptions) {
  const { clock, log, version, fetch = globalThis.fetch, appSecrets, extraFields = [] } = options;
  const totalTimeoutMs = options.totalTimeoutMs ?? totalTimeoutMsDefault;
  const concurrencyMax = options.concurrencyMax ?? concurrencyMaxDefault;
  const batchConcurrencyMax = options.batchConcurrencyMax ?? batchConcurrencyMaxDefault;
  const createLimits = () => ({ singles: createLimiter(concurrencyMax), batches: createLimiter(batchConcurrencyMax) });
  // A host each: one that hangs must not take the places of the other's calls.
  const limits = { instagram: createLimits(), facebook: createLimits() };
  const connectWatch = createConnectWatch(
    { clock, probe: options.probeConnect ?? probeTcp },
    options.connectTimeoutMs ?? connectTimeoutMsDefault,
  );
  const fields = [...profileFields, ...extraFields];
  const targets: Readonly<Record<AccountAccess["login"], GraphTarget>> = {
    instagram: { baseUrl: options.instagramUrl, version, fields, appSecret: null },
    facebook: { baseUrl: options.facebookUrl, version, fields, appSecret: appSecrets[0] ?? null },
  };

  async function send(request: GraphRequest, timeoutMs: number, signal: AbortSignal): Promise<GraphReply> {
    const startedMs = clock.monotonicMs();
    const reply = await fetchReply({ fetch, clock, connectWatch }, request, { timeoutMs, signal });
    const { httpStatus } = reply;
    log?.debug("Graph answered", "GraphClient", {
      host: new URL(request.url).host,
      method: request.method,
      httpStatus,
      trouble: reply.kind === "none" ? `${reply.reason}: ${reply.detail}` : null,
      durationMs: Math.round(clock.monotonicMs() - startedMs),
    });
    return reply;
  }

  function note(round: Round, reply: GraphReply, answered: Iterable<readonly [ParticipantId, Answered]>): void {
    round.usage = worseUsage(round.usage, reply.usage);
    for (const [id, item] of answered) {
      round.answered.set(id, item);
      if (round.forAll === null && endsRound(item.answer)) round.forAll = item.answer;
    }
    round.silent = reply.kind === "none" && reply.httpStatus === null ? round.silent + 1 : 0;
    // As many in a row as run at once: the host is away, and waiting out a deadline for each of the rest helps nobody.
    if (round.silent >= concurrencyMax) round.forAll ??= buildFailure("not_answered", null);
  }

  async function fetchSingle(access: AccountAccess, id: ParticipantId, round: Round): Promise<void> {
    if (round.forAll !== null) return;
    round.callsMade += 1;
    const request = buildProfileRequest(targets[access.login], access.token, id);
    const reply = await send(request, totalTimeoutMs, round.signal);
    note(round, reply, [[id, processProfileReply(round.context, id, reply)]]);
  }

  async function fetchBatch(access: AccountAccess, ids: readonly ParticipantId[], round: Round): Promise<void> {
    const startedMs = clock.monotonicMs();
    const ask = async (some: readonly ParticipantId[]) => {
      const leftMs = totalTimeoutMs - (clock.monotonicMs() - startedMs);
      if (round.forAll !== null || leftMs <= 0) return [];
      round.callsMade += some.length;
      const reply = await send(buildBatchRequest(targets[access.login], access.token, some), leftMs, round.signal);
      const { answered, unfinished } = processBatchReply(round.context, some, reply);
      note(round, reply, answered);
      return unfinished;
    };
    const unfinished = await limits[access.login].batches(round.signal, () => ask(ids));
    // One at a time would eat the deadline; the limiter of the single GETs bounds them.
    await Promise.all(
      unfinished.slice(0, aloneMax).map((id) => limits[access.login].singles(round.signal, () => ask([id]))),
    );
  }

  /**
   * Looks `ids` up with the account's token: one batch POST for up to 50 (Facebook Login), where those in `alone` share theirs
   * with nobody, or single GETs (Instagram Login). The times run for each request. Once an answer refuses the account or the
   * app, the rest is not sent and gets that same answer. Throws SyncError `interrupted` where `signal` fires.
   */
  async function fetchProfiles(
    access: AccountAccess,
    ids: readonly ParticipantId[],
    signal: AbortSignal,
    alone: ReadonlySet<ParticipantId> = new Set(),
  ): Promise<ProfileAnswers> {
    const pictureOrigin = readLoopbackOrigin(targets[access.login].baseUrl);
    const context = { fetchedAtMs: clock.nowMs(), pictureOrigin };
    const round: Round = { answered: new Map(), context, signal, usage: null, callsMade: 0, forAll: null, silent: 0 };
    const asked = [...new Set(ids)];
    const sent = asked.filter((id) => !isPathTrick(id));

    if (access.login === "facebook") {
      const together = sent.filter((id) => !alone.has(id));
      const batches = [...chunk(together, batchSizeMax), ...sent.filter((id) => alone.has(id)).map((id) => [id])];
      await Promise.all(batches.map((some) => fetchBatch(access, some, round)));
    } else {
      await Promise.all(sent.map((id) => limits[access.login].singles(signal, () => fetchSingle(access, id, round))));
    }

    const heldBack: LookupAnswer = round.forAll ?? buildFailure("not_answered", null);
    const answers = new Map<ParticipantId, LookupAnswer>();
    for (const id of asked) {
      answers.set(id, isPathTrick(id) ? notAnId : (round.answered.get(id)?.answer ?? heldBack));
    }
    const pictureRefused = asked.filter((id) => round.answered.get(id)?.pictureRefused === true);
    return { answers, usage: round.usage, pictureRefused, callsMade: round.callsMade };
  }

  /** Asks whom the token belongs to, to check it when an account is added. Throws SyncError `interrupted` where `signal` fires. */
  async function fetchSelf(access: Pick<AccountAccess, "login" | "token">, signal: AbortSignal): Promise<SelfAnswer> {
    const reply = await send(buildSelfRequest(targets[access.login], access), totalTimeoutMs, signal);
    return processSelfReply(access.login, reply);
  }

  /** Asks the inbox for one person's username (meta-platform.md §7.3). Throws SyncError `interrupted` where `signal` fires. */
  async function fetchUsername(access: AccountAccess, id: ParticipantId, signal: AbortSignal): Promise<UsernameAnswer> {
    if (isPathTrick(id)) return { kind: "unknown" };
    const request = buildThreadRequest(targets[access.login], access, id);
    return processThreadReply(
      id,
      await limits[access.login].singles(signal, () => send(request, totalTimeoutMs, signal)),
    );
  }

  /** Asks for one page of the inbox's threads (meta-platform.md §7). Throws SyncError `interrupted` where `signal` fires. */
  async function fetchThreads(
    access: AccountAccess,
    page: { readonly limit: number; readonly after: string | null },
    signal: AbortSignal,
  ): Promise<InboxReply<ThreadsAnswer>> {
    const request = buildThreadListRequest(targets[access.login], access, page);
    const reply = await limits[access.login].singles(signal, () => send(request, totalTimeoutMs, signal));
    return { answer: processThreadsReply(reply), usage: reply.usage };
  }

  /** Asks for a thread's latest messages. Throws as `fetchThreads()` does. */
  async function fetchThreadMessages(
    access: AccountAccess,
    ask: { readonly threadId: string; readonly limit: number },
    signal: AbortSignal,
  ): Promise<InboxReply<ThreadMessagesAnswer>> {
    if (isPathTrick(ask.threadId)) return { answer: buildFailure("bad_request", null), usage: null };
    const request = buildThreadMessagesRequest(targets[access.login], access, ask);
    const reply = await limits[access.login].singles(signal, () => send(request, totalTimeoutMs, signal));
    return { answer: processThreadMessagesReply(reply), usage: reply.usage };
  }

  return { fetchProfiles, fetchSelf, fetchUsername, fetchThreads, fetchThreadMessages };
}
