import { readFileSync } from "node:fs";
import { parseEnv } from "node:util";
import { SyncError } from "../domain/error.ts";

const option = "--env-file";

/**
 * Takes `--env-file <path>` out of the arguments, where it may stand anywhere, and reads the file: lines of
 * `NAME=value`. What the environment itself says counts more. Throws `usage_invalid` where the file cannot be read; the
 * compiled binary reads no `.env` that it was not asked to.
 */
export function takeEnvFile(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): { argv: readonly string[]; env: Readonly<Record<string, string | undefined>> } {
  const at = argv.findIndex((word) => word === option || word.startsWith(`${option}=`));
  if (at === -1) return { argv, env };
  const spelled = argv[at] ?? "";
  const inline = spelled.length > option.length;
  const path = inline ? spelled.slice(option.length + 1) : (argv[at + 1] ?? "");
  if (path === "" || path.startsWith("--"))
    throw new SyncError("usage_invalid", `Cannot read settings: ${option} needs a path (accepted: ${option} <path>)`);
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    throw new SyncError("usage_invalid", `Cannot read settings: the file of ${option} cannot be opened`, { cause });
  }
  const rest = [...argv.slice(0, at), ...argv.slice(at + (inline ? 1 : 2))];
  return { argv: rest, env: { ...parseEnv(text), ...env } };
}
