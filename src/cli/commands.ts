import type { CliCommand } from "./command.ts";

/** A command or a group of commands. Loaded when it is called for: `--help` must not wait for a database driver. */
export type CommandEntry =
  | { readonly kind: "command"; readonly summary: string; readonly load: () => Promise<CliCommand> }
  | { readonly kind: "group"; readonly summary: string; readonly commands: CommandTable };
export type CommandTable = Readonly<Record<string, CommandEntry>>;

const command = (summary: string, load: () => Promise<CliCommand>): CommandEntry => ({
  kind: "command",
  summary,
  load,
});

/** Every command, in the order of the help. */
export const commandTable: CommandTable = {
  serve: command("run the daemon: webhook, API, dashboard and worker", async () => {
    return (await import("./serve.ts")).serveCommand;
  }),
  backfill: command("look up everybody of one account who has no profile", async () => {
    return (await import("./backfill.ts")).backfillCommand;
  }),
  accounts: {
    kind: "group",
    summary: "the Instagram accounts and their tokens",
    commands: {
      add: command("add an account, or replace its token", async () => {
        return (await import("./accounts-add.ts")).accountsAddCommand;
      }),
      list: command("show every account, its state and its token's age", async () => {
        return (await import("./accounts-list.ts")).accountsListCommand;
      }),
      show: command("show one account", async () => {
        return (await import("./accounts-show.ts")).accountsShowCommand;
      }),
      check: command("show what keeps the accounts from looking people up", async () => {
        return (await import("./accounts-check.ts")).accountsCheckCommand;
      }),
      remove: command("forget an account and its token", async () => {
        return (await import("./accounts-remove.ts")).accountsRemoveCommand;
      }),
    },
  },
  jobs: {
    kind: "group",
    summary: "the backfills of all machines, and the lookups that wait",
    commands: {
      list: command("show the backfills, and the lookups that wait", async () => {
        return (await import("./jobs-list.ts")).jobsListCommand;
      }),
      watch: command("follow a backfill to its end, from any machine", async () => {
        return (await import("./jobs-watch.ts")).jobsWatchCommand;
      }),
      cancel: command("end a backfill after what it has in hand, from any machine", async () => {
        return (await import("./jobs-cancel.ts")).jobsCancelCommand;
      }),
      retry: command("give a backfill to the daemons once more", async () => {
        return (await import("./jobs-retry.ts")).jobsRetryCommand;
      }),
    },
  },
  explain: command("tell why a profile looks as it does, and what happens next", async () => {
    return (await import("./explain.ts")).explainCommand;
  }),
  replay: command("derive messages and conversations again from the stored events", async () => {
    return (await import("./replay.ts")).replayCommand;
  }),
  erase: command("take people out of everything that is kept, and keep them out", async () => {
    return (await import("./erase.ts")).eraseCommand;
  }),
  sandbox: command("run a stand-in for Instagram, for trying and testing", async () => {
    return (await import("./sandbox.ts")).sandboxCommand;
  }),
  migrate: command("bring the database's schema up to date", async () => {
    return (await import("./migrate.ts")).migrateCommand;
  }),
  openapi: command("print the API's description (OpenAPI 3.1)", async () => {
    return (await import("./openapi.ts")).openapiCommand;
  }),
  healthcheck: command("ask the daemon on HOST and PORT whether it works", async () => {
    return (await import("./healthcheck.ts")).healthcheckCommand;
  }),
  version: command("print the version", async () => {
    return (await import("./version.ts")).versionCommand;
  }),
};
