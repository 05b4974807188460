import { describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { createDatabaseMark } from "../../src/repository/database-mark.ts";
import { openFolder } from "../support/program.ts";
import { createRecordingLog, silentLog } from "../support/test-repositories.ts";

const url = "postgres://me:hush-hush@db.example:5432/inbox";

describe("createDatabaseMark()", () => {
  test("knows a database again by host, port, name and user, whatever its password", () => {
    using folder = openFolder();
    const isKept = (address: string) => createDatabaseMark(address, folder.path, silentLog).isKept();
    expect(isKept(url)).toBe(false);
    createDatabaseMark(url, folder.path, silentLog).keep();
    expect(isKept(url)).toBe(true);
    expect(isKept("postgresql://me:new-word@db.example/inbox?sslmode=require")).toBe(true);
    for (const other of ["db.example:5433/inbox", "db2.example/inbox", "db.example/inbox2", "db.example/"])
      expect({ other, known: isKept(`postgres://me:hush-hush@${other}`) }).toEqual({ other, known: false });
    expect(isKept("postgres://you:hush-hush@db.example/inbox")).toBe(false);
  });

  test("keeps the last one only, in a file of the owner's that names nothing", () => {
    using folder = openFolder();
    const other = createDatabaseMark("postgres://me@elsewhere/inbox", folder.path, silentLog);
    other.keep();
    createDatabaseMark(url, folder.path, silentLog).keep();
    expect(other.isKept()).toBe(false);
    const [name = ""] = readdirSync(folder.path);
    expect(readFileSync(join(folder.path, name), "utf8")).toMatch(/^[0-9a-f]{64}\n$/);
    expect(statSync(join(folder.path, name)).mode & 0o777).toBe(0o600);
  });

  test("never stops a start: what cannot be written is said, and known next time no more", () => {
    using folder = openFolder();
    mkdirSync(join(folder.path, "known-database"));
    const { log, lines } = createRecordingLog();
    const mark = createDatabaseMark(url, folder.path, log);
    mark.keep();
    expect(mark.isKept()).toBe(false);
    expect(lines.map(({ level }) => level)).toEqual(["warn"]);
  });
});
