import { buildAccountJson } from "../http/account-json.ts";
import { accountLineVersion, renderHealth } from "./account-text.ts";
import { defineCliCommand } from "./command.ts";
import { findAccount } from "./find-account.ts";
import { exitCodes } from "./io.ts";
import { withRuntime } from "./with-runtime.ts";

/** `social-sync accounts check` */
export const accountsCheckCommand = defineCliCommand({
  name: "accounts check",
  summary: "show what keeps the accounts from looking people up",
  args: {
    "account-id": { type: "string", valueHint: "id", description: "own id, Instagram id or @username; else all" },
    json: { type: "boolean", description: "one JSON value a line" },
  },
  examples: ["social-sync accounts check", "social-sync accounts check --account-id shop --json"],
  notes: [
    "Token, access level, pauses and people by profile status, from the database; Instagram is not asked. How much of its limit an account has used, and whether Instagram's servers fail, is known to the daemon alone: GET /accounts shows it. Exits with 4 where an account looks nobody up.",
  ],
  onStop: "leave",
  run: (given, io) =>
    withRuntime(io, async ({ accounts, explain }) => {
      const wanted = given["account-id"];
      const only = wanted === null ? null : new Set([findAccount(await accounts.listAccounts(), wanted).id]);
      const all = await explain.checkAccounts(only);
      const nowMs = io.clock.nowMs();
      const shown = all.map((health) => buildAccountJson(health, nowMs));
      if (given.json)
        io.stdout.write(shown.map((one) => `${JSON.stringify({ v: accountLineVersion, ...one })}\n`).join(""));
      else if (all.length > 0) io.stdout.write(all.map((health) => renderHealth(health, nowMs)).join("\n"));
      else io.stderr.write("There is no account yet. How to add one: social-sync accounts add --help\n");
      return shown.some(({ health }) => health === "blocked") ? exitCodes.token : exitCodes.done;
    }),
});
