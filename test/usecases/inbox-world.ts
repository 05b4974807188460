/** The sandbox's inbox beside a real database, and short ways to list it. */
import type { Budget } from "../../src/budget/budget.ts";
import type { Account } from "../../src/domain/account.ts";
import { type AccountId, conversationIdOf, parseAccountId, parseParticipantId } from "../../src/domain/ids.ts";
import { createCircuit } from "../../src/graph/circuit.ts";
import { createGraphClient } from "../../src/graph/graph-client.ts";
import type { Clock } from "../../src/lib/clock.ts";
import type { SandboxOptions } from "../../src/sandbox/sandbox.ts";
import {
  type BulkNamesDependencies,
  type BulkNamesInput,
  type BulkPage,
  bulkNames,
} from "../../src/usecases/bulk-names.ts";
import { parseWebhook } from "../../src/webhook/parse-webhook.ts";
import { openTestSandbox } from "../sandbox/open-test-sandbox.ts";
import { createRecordingLog, systemClock, type TestRepositories } from "../support/test-repositories.ts";
import { delivery } from "../support/webhook-bodies.ts";

/** Lets every call go at once: for tests that are about something else than the pace. */
export const freeBudget: Pick<Budget, "take" | "settle" | "state"> = {
  take: async ({ calls }) => ({ granted: calls, resumeInMs: 0, grant: { pool: "free", id: "free", lane: "backfill" } }),
  settle: async () => null,
  state: async () => ({
    ...{ used: 0, percent: null, learned: Number.POSITIVE_INFINITY, accountStopMs: 0, appStopMs: 0 },
    ...{ allowance: null, resumeInMs: 0 },
  }),
};
/** Back-offs take no time. */
export const hastyClock: Clock = { ...systemClock, random: () => 0 };
export const noTotals = { calls: 0, listed: 0, named: 0, imported: 0 };

type RunOptions = Partial<Omit<BulkNamesInput, "account">> & {
  readonly account?: Account;
  readonly signal?: AbortSignal;
  readonly onPage?: (page: BulkPage) => void | Promise<void>;
  readonly with?: Partial<BulkNamesDependencies>;
};

/** Opens a sandbox whose account `accountIndex` is saved as `ready`, in tables that are empty but for it. */
export async function openInboxWorld(db: TestRepositories, options: Partial<SandboxOptions> = {}, accountIndex = 0) {
  await db.empty();
  const box = await openTestSandbox({ clock: systemClock, ...options });
  const { sandbox } = box;
  const own = sandbox.world.accounts[accountIndex];
  if (own === undefined) throw new Error(`The world has no account ${accountIndex}`);
  const id = parseAccountId(own.instagramId) as AccountId;
  const save = (token = own.token) =>
    db.accounts.saveAccount({
      ...{ id, ownId: "shop", login: own.login, pageId: own.pageId, appScopedId: null, username: null, token },
      tokenExpiresAtMs: null,
    });
  await save();
  const [account] = await db.accounts.listAccounts();
  if (account === undefined) throw new Error("The account was not saved");
  const { log, lines, messages } = createRecordingLog();
  const graph = createGraphClient({
    ...{ instagramUrl: sandbox.instagramUrl, facebookUrl: sandbox.facebookUrl, version: "v26.0" },
    ...{ appSecrets: ["test_app_secret"], clock: systemClock, totalTimeoutMs: 2_000 },
  });
  const dependencies: BulkNamesDependencies = {
    ...{ graph, accounts: db.accounts, lookups: db.lookups, inbox: db.inbox, budget: freeBudget },
    ...{ circuit: createCircuit({ clock: systemClock, log }), clock: hastyClock, log },
  };
  return {
    ...{ sandbox, own, id, account, save, lines, messages, graph, dependencies },
    /** Lists the inbox; `pages` are all that it told. */
    async run({ signal, onPage, with: others, ...input }: RunOptions = {}) {
      const pages: BulkPage[] = [];
      const end = await bulkNames(
        { ...dependencies, ...others },
        { account, importMissing: false, cursor: null, totals: noTotals, run: null, ...input },
        {
          signal: signal ?? new AbortController().signal,
          onPage: async (page) => {
            pages.push(page);
            await onPage?.(page);
          },
        },
      );
      return { end, pages, last: pages.at(-1) };
    },
    /** Calls of the list, and of threads, since the log was last emptied. */
    listCalls: () => sandbox.calls.list().filter(({ path }) => path.endsWith("/conversations")),
    threadCalls: () => sandbox.calls.list().filter(({ path }) => !path.endsWith("/conversations")),
    conversationIdOf: (person: string) => {
      const participantId = parseParticipantId(person);
      if (participantId === null) throw new Error(`${person} is no id`);
      return conversationIdOf(id, participantId);
    },
    /** Files items as their webhook would. */
    file: (...items: Record<string, unknown>[]) =>
      db.events.saveEvents(parseWebhook(delivery(items, id), Date.now()).events, 5_000),
    conversation: async (person: string) =>
      (await db.rows("conversations", "id")).find((row) => row.participant_platform_id === person),
    knownNames: async () =>
      new Map(
        (await db.rows("known_usernames", "participant_id")).map((row) => [row.participant_id, row.username] as const),
      ),
    [Symbol.asyncDispose]: () => box[Symbol.asyncDispose](),
  };
}
export type InboxWorld = Awaited<ReturnType<typeof openInboxWorld>>;
