/**
 * The memory of the box: who a token belongs to, who a person is, what is left of a rate, who wrote last. Nothing here
 * speaks HTTP.
 */
import { createHmac } from "node:crypto";
import type { Clock } from "../lib/clock.ts";
import { hashText } from "./chance.ts";
import { createDeliveredMessages, type DeliveredMessages } from "./delivered-messages.ts";
import { createErrorWriter } from "./graph-reply.ts";
import type { ThreadTwist } from "./inbox-twist.ts";
import { createSlidingWindow, type SlidingWindow } from "./sliding-window.ts";
import type { SandboxTrouble } from "./trouble.ts";
import type { SandboxEvent } from "./webhook-item.ts";
import { createHandPickedPerson, type SandboxAccount, type SandboxPerson, type SandboxWorld } from "./world.ts";

/** The pools of §5.1, one budget each: profile nodes, the conversations edge, and the account's own nodes. */
export const pools = ["profile", "conversations", "account"] as const;
export type Pool = (typeof pools)[number];

/** A long token lives 60 days and may be refreshed when a day old (§6.1). */
export const tokenLifetimeMs = 60 * 86_400_000;
export const tokenRefreshAgeMs = 86_400_000;
/** The world's tokens are of middle age: valid, and old enough to be refreshed. */
const tokenAgeAtOpenMs = 30 * 86_400_000;
/** Refreshed tokens kept beside the world's; older ones die, so that a refresh in a loop fills no memory. */
const tokensMax = 1024;
/** Without a webhook, the conversation of person n was last written to n + 1 times this before the box opened. */
const conversationSpacingMs = 61_000;
/** "2 calls/s per account" on the conversations edge (§5.1), in real seconds whatever the window. */
export const conversationsPerSecond = 2;

export type AccountState = {
  readonly account: SandboxAccount;
  readonly index: number;
  readonly windows: Readonly<Record<Pool, SlidingWindow>>;
  readonly conversationPace: SlidingWindow;
  /** Who wrote since the box opened, and when (wall time); the last writer stands last. */
  readonly lastWroteMs: Map<number, number>;
  readonly delivered: DeliveredMessages;
  subscribedFields: readonly string[];
  /** A trouble of the whole account: every call of it answers this. */
  trouble: SandboxTrouble | null;
};

export type TokenState = {
  readonly owner: AccountState;
  readonly issuedAtMs: number;
  /** `null`: Page tokens have no scheduled end. */
  readonly expiresAtMs: number | null;
  readonly proof: string;
};

export type PlatformOptions = {
  world: SandboxWorld;
  clock: Clock;
  appSecret: string;
  ratePerWindow: number | null;
  windowMs: number;
  requireProof: boolean;
  pictureLifetimeMs: number;
};

export type Platform = ReturnType<typeof createPlatform>;

/** Wires the memory of one box. `origin` is set once the port is known. */
export function createPlatform(options: PlatformOptions) {
  const { world, clock, appSecret, windowMs } = options;
  const openedAtMs = clock.nowMs();
  const accounts = world.accounts.map((account, index) => createAccountState(account, index, windowMs));
  const tokens = new Map<string, TokenState>();
  const addToken = (token: string, owner: AccountState, issuedAtMs: number): void => {
    const lives = owner.account.login === "instagram";
    const proof = createHmac("sha256", appSecret).update(token).digest("hex");
    tokens.set(token, { owner, issuedAtMs, expiresAtMs: lives ? issuedAtMs + tokenLifetimeMs : null, proof });
  };
  for (const state of accounts) addToken(state.account.token, state, openedAtMs - tokenAgeAtOpenMs);

  const troubles = new Map<string, SandboxTrouble | null>();
  const troubledOnce = new Set<string>();
  const threadTwists = new Map<string, ThreadTwist>();
  let picturesServed = 0;
  let tokensIssued = 0;

  /** When the last message of a thread came that the box was opened with. */
  const historyEndMs = (state: AccountState, personId: string): number =>
    openedAtMs - ((state.account.population.indexOf(personId) ?? 0) + 1) * conversationSpacingMs;

  return {
    ...options,
    origin: "",
    ratePerWindow: options.ratePerWindow,
    /** Threads a page of the inbox may hold before it is "too much data"; null: as many as are asked for. */
    listPageMax: null as number | null,
    /** Cursors of an earlier generation have expired. */
    cursorGeneration: 0,
    openedAtMs,
    accounts,
    writeError: createErrorWriter(world.seed),
    /** Calls of both accounts in all pools: what `X-App-Usage` is about. */
    appWindow: createSlidingWindow(windowMs),
    findToken: (token: string): TokenState | null => tokens.get(token) ?? null,
    /** Gives an account a further token, as a refresh does; the old one stays valid until its own end. */
    issueToken: (owner: AccountState): string => {
      const oldest = [...tokens.keys()].find((token) => accounts.every((state) => state.account.token !== token));
      if (tokens.size >= tokensMax && oldest !== undefined) tokens.delete(oldest);
      tokensIssued += 1;
      const fresh = [1, 2, 3].map((part) =>
        hashText(world.seed + part, `token ${openedAtMs} ${tokensIssued}`).toString(36),
      );
      const token = `${owner.account.token.slice(0, 40)}${tokensIssued.toString(36)}Z${fresh.join("")}ZD`;
      addToken(token, owner, clock.nowMs());
      return token;
    },
    /** A person of this account, of the world or chosen by hand; `null` for anybody else's. */
    findPerson: (state: AccountState, id: string): SandboxPerson | null => {
      const { population } = state.account;
      const at = population.indexOf(id);
      return at === null ? createHandPickedPerson(id) : population.at(at);
    },
    /** A person's trouble now: what a tester set, else the world's. */
    troubleOf: (person: SandboxPerson): SandboxTrouble | null => {
      const set = troubles.get(person.id);
      return set === undefined ? person.trouble : set;
    },
    setTrouble: (personId: string, trouble: SandboxTrouble | null): void => {
      troubles.set(personId, trouble);
      for (const { index } of accounts) troubledOnce.delete(`${index} ${personId}`);
    },
    /** What a tester made of a person's thread. */
    twistOf: (personId: string): ThreadTwist | null => threadTwists.get(personId) ?? null,
    setTwist: (personId: string, twist: ThreadTwist | null): void => {
      if (twist === null) threadTwists.delete(personId);
      else threadTwists.set(personId, twist);
    },
    /** True the first time an account asks it about a person: for troubles that pass. */
    takeFirst: (state: AccountState, personId: string): boolean => {
      const key = `${state.index} ${personId}`;
      if (troubledOnce.has(key)) return false;
      troubledOnce.add(key);
      return true;
    },
    /** A number that never comes twice: picture links differ at every call. */
    nextPictureNumber: (): number => {
      picturesServed += 1;
      return picturesServed;
    },
    /** When a person last wrote, by what the box knows. */
    lastWroteMs: (state: AccountState, personId: string): number =>
      state.lastWroteMs.get(state.account.population.indexOf(personId) ?? 0) ?? historyEndMs(state, personId),
    historyEndMs,
    /** Notes that something happened in a thread, so that it moves to the front of the list. */
    noteEvent: (state: AccountState, personId: string, event: SandboxEvent): void => {
      if (event.personId === personId) state.delivered.note(event);
      const at = state.account.population.indexOf(personId);
      if (at === null) return;
      state.lastWroteMs.delete(at);
      state.lastWroteMs.set(at, event.timestampMs);
    },
  };
}

function createAccountState(account: SandboxAccount, index: number, windowMs: number): AccountState {
  return {
    account,
    index,
    windows: {
      profile: createSlidingWindow(windowMs),
      conversations: createSlidingWindow(windowMs),
      account: createSlidingWindow(windowMs),
    },
    conversationPace: createSlidingWindow(1000),
    lastWroteMs: new Map(),
    delivered: createDeliveredMessages(),
    subscribedFields: ["messages"],
    trouble: null,
  };
}
