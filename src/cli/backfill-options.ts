import { SyncError } from "../domain/error.ts";
import type { RunOptions } from "../domain/run.ts";
import { readWhole } from "./read-whole.ts";
import { readSince } from "./replay-since.ts";

/** Beyond this a batch is no batch: Ctrl-C would have to wait for it. */
export const batchSizeMax = 500;
const batchSizeDefault = 10;
/** More people than Instagram has. */
const limitMax = 10_000_000_000;

/** What `backfill` takes. */
export const backfillArgs = {
  "account-id": {
    type: "string",
    valueHint: "id",
    description: "own id, Instagram id or @username",
    required: true,
  },
  "batch-size": {
    type: "string",
    valueHint: `1-${batchSizeMax}`,
    description: "people that are looked up together",
    default: String(batchSizeDefault),
  },
  "retry-failed": { type: "boolean", description: "also ask again for people whom Instagram refused" },
  force: { type: "boolean", description: "ask for everybody, also who has a profile already" },
  "names-only": { type: "boolean", description: "read the inbox for usernames, and ask for no profiles" },
  "no-bulk": { type: "boolean", description: "do not read the inbox first" },
  import: {
    type: "boolean",
    description: "create the conversations that only Instagram knows, with their latest messages",
  },
  limit: { type: "string", valueHint: "people", description: "end after so many people" },
  since: { type: "string", valueHint: "time", description: "conversations since: a date, or 90m, 2h, 7d ago" },
  "dry-run": { type: "boolean", description: "forecast people, calls and minutes, and write nothing" },
  detach: { type: "boolean", description: "give it to the daemons and print its job id" },
  json: { type: "boolean", description: "progress as one JSON value a line" },
} as const;

type Given = {
  readonly "batch-size": string;
  readonly "retry-failed": boolean;
  readonly force: boolean;
  readonly "names-only": boolean;
  readonly "no-bulk": boolean;
  readonly import: boolean;
  readonly limit: string | null;
  readonly since: string | null;
  readonly "dry-run": boolean;
  readonly detach: boolean;
};

/** Reads what was asked of a run. Throws `usage_invalid` with the accepted form. */
export function readRunOptions(given: Given, nowMs: number): RunOptions {
  const batchSize = readWhole("--batch-size", given["batch-size"], {
    fallback: batchSizeDefault,
    min: 1,
    max: batchSizeMax,
  });
  const limit = given.limit === null ? null : readWhole("--limit", given.limit, { fallback: 0, min: 1, max: limitMax });
  const sinceMs = given.since === null ? null : readSince(given.since, nowMs);
  if (given.force && given["retry-failed"])
    throw new SyncError("usage_invalid", "Cannot use --retry-failed: it is part of --force (accepted: one of the two)");
  if (given["dry-run"] && given.detach)
    throw new SyncError(
      "usage_invalid",
      "Cannot use --detach: --dry-run does nothing to give away (accepted: one of the two)",
    );
  if (given["no-bulk"])
    for (const name of ["names-only", "import"] as const)
      if (given[name])
        throw new SyncError(
          "usage_invalid",
          `Cannot use --no-bulk: --${name} reads the inbox (accepted: one of the two)`,
        );
  const scope = given.force ? "everybody" : given["retry-failed"] ? "refused" : "missing";
  const phases = { bulk: !given["no-bulk"], profiles: !given["names-only"], importMissing: given.import };
  return { batchSize, scope, limit, since: given.since === null ? null : given.since.trim(), sinceMs, ...phases };
}

/** The command that asks for the same once more. */
export function renderCommand(
  accountId: string,
  { scope, limit, since, bulk, profiles, importMissing }: RunOptions,
): string {
  const scopes = { missing: "", refused: " --retry-failed", everybody: " --force" } as const;
  const bounds = `${limit === null ? "" : ` --limit ${limit}`}${since === null ? "" : ` --since ${since}`}`;
  const phases = `${bulk ? "" : " --no-bulk"}${profiles ? "" : " --names-only"}${importMissing ? " --import" : ""}`;
  return `social-sync backfill --account-id ${accountId}${scopes[scope]}${phases}${bounds}`;
}
