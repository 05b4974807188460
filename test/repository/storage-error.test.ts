import { describe, expect, test } from "bun:test";
import { SyncError } from "../../src/domain/error.ts";
import { isAway, readStorageError } from "../../src/repository/storage-error.ts";

const told = (code: string) => readStorageError(Object.assign(new Error(code), { code }), "look");

describe("isAway()", () => {
  test.each([
    ["refused", "ECONNREFUSED"],
    ["not found by its name", "ENOTFOUND"],
    ["cut", "CONNECTION_CLOSED"],
    ["too slow to let anybody in", "CONNECT_TIMEOUT"],
    ["starting", "57P03"],
    ["shutting down", "57P01"],
    ["out of connections", "53300"],
    ["out of disk", "53100"],
    ["in a trouble that we do not know", "XX000"],
  ])("holds for a server that is %s", (_, code) => {
    expect(isAway(told(code))).toBe(true);
  });

  test("holds for a server that does not answer in time", () => {
    expect(isAway(new SyncError("storage_unavailable", "Cannot look: the database did not answer in time"))).toBe(true);
  });

  test.each([
    ["a wrong password", "28P01"],
    ["a host that is not let in", "28000"],
    ["a database that is not there", "3D000"],
    ["a right that is missing", "42501"],
    ["a table in the way", "42P07"],
    ["a row in the way", "23505"],
  ])("does not hold for %s: asking again changes nothing", (_, code) => {
    expect(isAway(told(code))).toBe(false);
  });

  test("does not hold for what would refuse a start, nor for a bug", () => {
    expect(isAway(new SyncError("schema_newer", "Cannot use this database"))).toBe(false);
    expect(isAway(new SyncError("storage_unsafe", "Cannot start"))).toBe(false);
    expect(isAway(new TypeError("a bug of ours"))).toBe(false);
  });
});
