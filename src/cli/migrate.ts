import { defineCliCommand } from "./command.ts";
import { exitCodes } from "./io.ts";
import { withRuntime } from "./with-runtime.ts";

/** `social-sync migrate`: opening the runtime brings the schema up to date, under a lock. */
export const migrateCommand = defineCliCommand({
  name: "migrate",
  summary: "bring the database's schema up to date",
  args: {},
  examples: ["DATABASE_URL=postgres://… social-sync migrate"],
  notes: ["The daemon does this by itself when it starts. Steps only go forward; doing it twice is harmless."],
  onStop: "leave",
  run: (_, io) =>
    withRuntime(io, async ({ database, schemaVersion }) => {
      io.stderr.write(`The schema is version ${schemaVersion} and up to date: ${database.describe()}.\n`);
      return exitCodes.done;
    }),
});
