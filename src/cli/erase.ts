import { readConfig } from "../config.ts";
import { SyncError } from "../domain/error.ts";
import { openRuntime, type Runtime } from "../runtime.ts";
import { type EraseCounts, type EraseReport, erase } from "../usecases/erase.ts";
import { type CommandUsage, defineCliCommand } from "./command.ts";
import { findKeptAccount } from "./find-account.ts";
import { exitCodes } from "./io.ts";
import { openCommandLog } from "./log-output.ts";
import { readPeople, readPerson } from "./read-people.ts";
import { formOf } from "./strict-arguments.ts";
import { renderMany } from "./text-values.ts";

/** Version of the line that `erase --json` prints. */
export const eraseLineVersion = 1;

/** `social-sync erase` */
export const eraseCommand = defineCliCommand({
  name: "erase",
  summary: "take people out of everything that is kept, and keep them out",
  args: {
    person: { type: "string", valueHint: "id", description: "a person's Instagram-scoped id" },
    file: { type: "string", valueHint: "path", description: "ids from a file, - for standard input" },
    "account-id": { type: "string", valueHint: "id", description: "own id, Instagram id or @username; else all" },
    yes: { type: "boolean", description: "needed: it cannot be undone" },
    json: { type: "boolean", description: "what was removed as one JSON value" },
  },
  examples: [
    "social-sync erase --person 5551234567890123 --yes",
    "social-sync erase --file deletion-requests.csv --yes",
  ],
  notes: [
    "Removes their conversations, messages, reactions, reads, names, raw and unreadable webhooks and cached profiles. A mark that tells nobody who they were keeps out what happened until then: webhooks sent again or waiting in a spool, replays, backfills and lookups under way. What a person writes later is new, and kept.",
    "It may run beside daemons and be repeated; Ctrl-C ends it after the batch in hand and exits with 3: run it again. Beyond its reach are backups of the database, log files, and what the spool's folder `damaged` holds for you to look at. After a restore of a backup, erase again.",
  ],
  onStop: "finish",
  async run(given, io) {
    const people = await readWhom(given, io);
    const config = readConfig(io.env, { appSecret: false, isTty: io.stderr.isTty });
    using output = openCommandLog(config, io);
    await using runtime = await openRuntime(config, { clock: io.clock, log: output.log, role: "command" });
    const accountId = given["account-id"] === null ? null : await findErased(runtime, given["account-id"]);
    const report = await erase(runtime, { people, accountId }, io.stopTaking);
    output.flush();
    io.stdout.write(given.json ? `${JSON.stringify(buildLine(people.length, report))}\n` : tell(people.length, report));
    if (report.interrupted) {
      io.stderr.write("Interrupted: some of it still stands. The same command goes on.\n");
      return exitCodes.interrupted;
    }
    if (report.cacheCleared) return exitCodes.done;
    io.stderr.write("The cache did not answer and may hold their profiles for a day: run it again.\n");
    return exitCodes.someFailed;
  },
});

type Given = { readonly person: string | null; readonly file: string | null; readonly yes: boolean };

async function readWhom(given: Given, io: Parameters<typeof readPeople>[0]) {
  const refuse = (problem: string) =>
    new SyncError("usage_invalid", `Cannot run erase: ${problem} (accepted: ${formOf(eraseUsage())})`);
  if ((given.person === null) === (given.file === null)) throw refuse("it takes either --person or --file");
  const people = given.file === null ? [readPerson(given.person ?? "")] : await readPeople(io, given.file);
  if (!given.yes)
    throw refuse(`it cannot be undone; add --yes to erase ${renderMany(people.length, "person", "people")}`);
  return people;
}

const eraseUsage = (): CommandUsage => eraseCommand;

const findErased = async ({ accounts, erasures }: Runtime, text: string) =>
  findKeptAccount(await accounts.listAccounts(), text, async (id) => (await erasures.listAccountIds()).includes(id));

const nouns: Readonly<Record<keyof EraseCounts, string>> = {
  conversations: "conversation",
  messages: "message",
  reactions: "reaction",
  reads: "read receipt",
  names: "name",
  events: "raw event",
  quarantined: "unreadable webhook",
};

function tell(people: number, { removed, interrupted }: EraseReport): string {
  const told = (Object.keys(nouns) as (keyof EraseCounts)[]) // its type says which keys it has
    .filter((kind) => removed[kind] > 0)
    .map((kind) => renderMany(removed[kind], nouns[kind]));
  const whom = renderMany(people, "person", "people");
  const what = told.length === 0 ? "nothing was kept of them" : `removed ${told.join(", ")}`;
  return `${interrupted ? "Erasing" : "Erased"} ${whom}: ${what}. What happened until now stays out.\n`;
}

const buildLine = (people: number, { removed, cacheCleared, interrupted }: EraseReport) => ({
  v: eraseLineVersion,
  people,
  removed,
  cacheCleared,
  interrupted,
});
