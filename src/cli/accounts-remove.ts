import { defineCliCommand } from "./command.ts";
import { findById, unknownAccount } from "./find-account.ts";
import { exitCodes } from "./io.ts";
import { withRuntime } from "./with-runtime.ts";

/** `social-sync accounts remove <id>` */
export const accountsRemoveCommand = defineCliCommand({
  name: "accounts remove",
  summary: "forget an account and its token",
  args: { id: { type: "positional", description: "its exact own id or Instagram id", required: true } },
  examples: ["social-sync accounts remove shop"],
  notes: ["Asks nothing. Its conversations and messages stay; nobody is looked up for it any more."],
  onStop: "leave",
  run: ({ id }, io) =>
    withRuntime(io, async ({ accounts }) => {
      const all = await accounts.listAccounts();
      const account = findById(all, id.trim());
      if (account === null || !(await accounts.deleteAccount(account.id))) throw unknownAccount(all, id);
      io.stderr.write(`Removed the account ${account.ownId} (${account.id}) and its token.\n`);
      return exitCodes.done;
    }),
});
