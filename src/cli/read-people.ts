import { createReadStream } from "node:fs";
import { resolve } from "node:path";
import { SyncError } from "../domain/error.ts";
import { type ParticipantId, parseParticipantId } from "../domain/ids.ts";
import type { Io } from "./io.ts";
import { readBounded } from "./read-bounded.ts";
import { showWord } from "./strict-arguments.ts";

/** Some 50,000 ids: Instagram lists those of three weeks at a time. */
export const peopleBytesMax = 1_000_000;

/**
 * Reads people's ids from a file, or from standard input (`-`): one a line, or with commas or semicolons between them,
 * quoted or not. Each once. Throws `usage_invalid` where one is none, so that a wrong file erases nobody.
 */
export async function readPeople(
  io: Pick<Io, "readStdin" | "workingDirectory">,
  path: string,
): Promise<ParticipantId[]> {
  const text = path === "-" ? await io.readStdin(peopleBytesMax) : await readFile(resolve(io.workingDirectory, path));
  const people = new Set<ParticipantId>();
  for (const word of text.split(/[\s,;]+/)) {
    const bare = word.replace(/^(["'])(.*)\1$/, "$2").replace(/^\uFEFF/, "");
    if (bare !== "") people.add(readPerson(bare));
  }
  if (people.size === 0) throw new SyncError("usage_invalid", "Cannot read --file: there is no id in it");
  return [...people];
}

/** One person's id. Throws `usage_invalid`. */
export function readPerson(text: string): ParticipantId {
  const person = parseParticipantId(text.trim());
  if (person !== null && /\d/.test(person)) return person;
  throw new SyncError("usage_invalid", `Cannot erase '${showWord(text)}': it is not a person's Instagram-scoped id`);
}

async function readFile(path: string): Promise<string> {
  try {
    return await readBounded(createReadStream(path), peopleBytesMax, "--file");
  } catch (cause) {
    if (cause instanceof SyncError) throw cause;
    throw new SyncError("usage_invalid", "Cannot read --file: there is no such file, or it may not be read", { cause });
  }
}
