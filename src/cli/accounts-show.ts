import { accountJson, renderAccount } from "./account-text.ts";
import { defineCliCommand } from "./command.ts";
import { findAccount } from "./find-account.ts";
import { exitCodes } from "./io.ts";
import { withRuntime } from "./with-runtime.ts";

/** `social-sync accounts show <id>` */
export const accountsShowCommand = defineCliCommand({
  name: "accounts show",
  summary: "show one account",
  args: {
    id: { type: "positional", description: "own id, Instagram id or @username", required: true },
    json: { type: "boolean", description: "as JSON" },
  },
  examples: ["social-sync accounts show shop"],
  onStop: "leave",
  run: ({ id, json }, io) =>
    withRuntime(io, async ({ accounts }) => {
      const account = findAccount(await accounts.listAccounts(), id);
      const text = json ? `${JSON.stringify(accountJson(account))}\n` : renderAccount(account, io.clock.nowMs());
      io.stdout.write(text);
      return exitCodes.done;
    }),
});
