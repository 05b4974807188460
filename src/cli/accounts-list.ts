import { accountJson, renderAccounts } from "./account-text.ts";
import { defineCliCommand } from "./command.ts";
import { exitCodes } from "./io.ts";
import { withRuntime } from "./with-runtime.ts";

/** `social-sync accounts list` */
export const accountsListCommand = defineCliCommand({
  name: "accounts list",
  summary: "show every account, its state and its token's age",
  args: { json: { type: "boolean", description: "one JSON value a line" } },
  examples: ["social-sync accounts list", "social-sync accounts list --json"],
  onStop: "leave",
  run: ({ json }, io) =>
    withRuntime(io, async ({ accounts }) => {
      const all = await accounts.listAccounts();
      if (json) io.stdout.write(all.map((account) => `${JSON.stringify(accountJson(account))}\n`).join(""));
      else if (all.length > 0) io.stdout.write(renderAccounts(all, io.clock.nowMs()));
      else io.stderr.write("There is no account yet. How to add one: social-sync accounts add --help\n");
      return exitCodes.done;
    }),
});
