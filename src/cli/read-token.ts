import { createReadStream } from "node:fs";
import { resolve } from "node:path";
import type { Login } from "../domain/account.ts";
import { SyncError } from "../domain/error.ts";
import type { Io } from "./io.ts";
import { readBounded } from "./read-bounded.ts";

/** Meta's tokens have 150 to 250 characters; more than this is some other file. */
export const tokenBytesMax = 4_096;
/** What a token of each log-in begins with (meta-platform.md §6). Only a warning: Meta may change it. */
const prefixOf: Readonly<Record<Login, string>> = { instagram: "IGAA", facebook: "EAA" };

type TokenIo = Pick<Io, "readStdin" | "readHidden" | "stdinIsTty" | "workingDirectory">;

/**
 * The token from a file, from standard input (`-`), or from a hidden prompt where a terminal can ask. Never from an
 * argument: those stand in the process list. Throws `usage_invalid`; no sentence repeats what was read.
 */
export async function readToken(io: TokenIo, tokenFile: string | null): Promise<string> {
  if (tokenFile === null && !io.stdinIsTty)
    throw new SyncError(
      "usage_invalid",
      "Cannot add the account: its token is missing (accepted: --token-file <path>, --token-file - for standard input, or a terminal to ask on)",
    );
  const asked = tokenFile === null || (tokenFile === "-" && io.stdinIsTty);
  if (asked) return checkToken(await io.readHidden("Token (not shown): "), "the prompt");
  if (tokenFile === "-") return checkToken(await io.readStdin(tokenBytesMax), "standard input");
  return checkToken(await readFileBounded(io.workingDirectory, tokenFile), tokenFile);
}

/** Reads a small secret from a file, without the blanks around it. */
export async function readSecretFile(io: Pick<Io, "workingDirectory">, path: string): Promise<string> {
  return (await readFileBounded(io.workingDirectory, path)).trim();
}

async function readFileBounded(workingDirectory: string, path: string): Promise<string> {
  try {
    return await readBounded(createReadStream(resolve(workingDirectory, path)), tokenBytesMax, path);
  } catch (cause) {
    if (cause instanceof SyncError) throw cause;
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
    const why = { ENOENT: "there is no such file", EACCES: "it may not be read", EISDIR: "it is a folder" }[code];
    throw new SyncError("usage_invalid", `Cannot read ${path}: ${why ?? `the system refuses (${code})`}`, { cause });
  }
}

function checkToken(text: string, source: string): string {
  const token = text.trim();
  if (token === "") throw new SyncError("usage_invalid", `Cannot read a token from ${source}: it is empty`);
  if (!/^[\x21-\x7e]+$/.test(token))
    throw new SyncError(
      "usage_invalid",
      `Cannot read a token from ${source}: it holds more than one word of plain text`,
    );
  return token;
}

/** A sentence where the token looks like one of another kind; null where it looks right. */
export function tokenDoubt(login: Login, token: string): string | null {
  if (token.startsWith(prefixOf[login])) return null;
  return `This does not look like a token of ${login} login: those begin with ${prefixOf[login]}. It is taken all the same.`;
}
