import { type Account, type Login, logins } from "../domain/account.ts";
import { SyncError } from "../domain/error.ts";
import { type AccountId, parseAccountId } from "../domain/ids.ts";
import { type CommandArguments, defineCliCommand } from "./command.ts";
import { exitCodes } from "./io.ts";
import { readToken, tokenDoubt } from "./read-token.ts";
import { optionRefusal, showWord } from "./strict-arguments.ts";
import { type Verified, verifyAccount } from "./verify-account.ts";
import { withRuntime } from "./with-runtime.ts";

/** Longest own id: it stands in tables and messages. */
const ownIdLengthMax = 64;
const ownIdPattern = new RegExp(`^[A-Za-z0-9][A-Za-z0-9._-]{0,${ownIdLengthMax - 1}}$`);
/** Ids of professional accounts begin so (meta-platform.md §0.4); an app-scoped id does not. */
const accountIdBeginning = "17841";

const args = {
  "instagram-id": {
    type: "string",
    valueHint: "17841…",
    description: "the id that webhooks carry as entry.id",
    required: true,
  },
  login: {
    type: "string",
    valueHint: "instagram|facebook",
    description: "which log-in gave the token",
    required: true,
  },
  "page-id": { type: "string", valueHint: "id", description: "the linked Facebook Page, for --login facebook" },
  "account-id": { type: "string", valueHint: "name", description: "your own name for it (default: its Instagram id)" },
  username: { type: "string", valueHint: "name", description: "its Instagram username" },
  "token-file": {
    type: "string",
    valueHint: "path|-",
    description: "file with the token, - for standard input; without it you are asked",
  },
  verify: { type: "boolean", description: "ask Instagram whose token it is before saving" },
} as const;

const usage = {
  name: "accounts add",
  summary: "add an account, or replace its token",
  args,
  examples: [
    "social-sync accounts add --instagram-id 17841400000000001 --login instagram --account-id shop --token-file token.txt",
    "pass show shop | social-sync accounts add --instagram-id 17841400000000001 --login instagram --token-file -",
  ],
  notes: [
    "The token is sealed before it is stored and never shown again. An account that is there already keeps its own name and username where none is given.",
  ],
  refused: {
    token:
      "a token is never taken as an argument, since every user of the machine can read it in the process list and it stays in the shell's history; use --token-file",
  },
} as const;

/** `social-sync accounts add` */
export const accountsAddCommand = defineCliCommand({
  ...usage,
  onStop: "leave",
  async run(given, io) {
    const claimed = readClaim(given);
    const token = await readToken(io, given["token-file"]);
    const doubts = [tokenDoubt(claimed.login, token), idDoubt(claimed.id)];
    for (const doubt of doubts) if (doubt !== null) io.stderr.write(`${doubt}\n`);
    return await withRuntime(io, async ({ accounts, graph }) => {
      const all = await accounts.listAccounts();
      const before = all.find(({ id }) => id === claimed.id) ?? null;
      const ownId = claimed.ownId ?? before?.ownId ?? claimed.id;
      assertFree(all, claimed.id, ownId);
      let verified: Verified = { scopedId: null, username: null };
      if (given.verify) {
        const answer = await verifyAccount(graph, { ...claimed, token }, io.stopTaking);
        if (answer.kind === "unanswered") {
          io.stderr.write(`Cannot verify the token: ${answer.reason}. Nothing was saved; try again later.\n`);
          return exitCodes.someFailed;
        }
        verified = answer.verified;
      }
      await accounts.saveAccount({
        id: claimed.id,
        ownId,
        login: claimed.login,
        pageId: claimed.pageId,
        username: claimed.username ?? verified.username,
        appScopedId: verified.scopedId,
        tokenExpiresAtMs: null,
        token,
      });
      const done = before === null ? "Added the account" : "Replaced the token of the account";
      const checked = given.verify ? "; Instagram confirmed the token" : "";
      io.stderr.write(`${done} ${ownId} (${claimed.id})${checked}.\n`);
      return exitCodes.done;
    });
  },
});

type Claim = {
  readonly id: AccountId;
  readonly login: Login;
  readonly pageId: string | null;
  readonly ownId: string | null;
  readonly username: string | null;
};

/** Reads the arguments by name. Throws `usage_invalid` with the accepted form. */
function readClaim(given: CommandArguments<typeof args>): Claim {
  const id = parseAccountId(given["instagram-id"].trim());
  if (id === null) throw refuse("instagram-id", "must be an Instagram id, digits such as 17841400000000001");
  const login = logins.find((known) => known === given.login.trim());
  if (login === undefined) throw refuse("login", `must be instagram or facebook, not '${showWord(given.login)}'`);
  const pageId = given["page-id"]?.trim() ?? null;
  if (login === "facebook" && pageId === null) throw refuse("page-id", "is missing: --login facebook needs it");
  if (login === "instagram" && pageId !== null) throw refuse("page-id", "belongs to --login facebook only");
  if (pageId !== null && !/^\d{1,32}$/.test(pageId)) throw refuse("page-id", "must be the digits of a Page's id");
  const ownId = given["account-id"]?.trim() ?? null;
  if (ownId !== null && !ownIdPattern.test(ownId))
    throw refuse("account-id", `must be up to ${ownIdLengthMax} letters, digits, dots, dashes or underscores`);
  const username = given.username?.trim().replace(/^@/, "") ?? null;
  if (username !== null && !/^[A-Za-z0-9._]{1,30}$/.test(username))
    throw refuse("username", "must be an Instagram username: up to 30 letters, digits, dots or underscores");
  return { id, login, pageId, ownId, username };
}

const refuse = (option: keyof typeof args, problem: string) => optionRefusal(usage, option, problem);

function idDoubt(id: AccountId): string | null {
  if (id.startsWith(accountIdBeginning)) return null;
  return `This does not look like an Instagram account's id: those begin with ${accountIdBeginning}. An app-scoped id matches no webhook; --verify tells.`;
}

/** An own id names one account: neither another's own id nor its Instagram id may be taken. */
function assertFree(all: readonly Account[], id: AccountId, ownId: string): void {
  const holder = all.find(
    (other) => other.id !== id && [other.ownId, other.id].some((name) => name === ownId || name === id),
  );
  if (holder === undefined) return;
  const taken = [holder.ownId, holder.id].some((name) => name === ownId) ? ownId : id;
  throw new SyncError(
    "account_conflict",
    `Cannot add the account ${id}: '${taken}' already names the account ${holder.ownId} (${holder.id})`,
  );
}
