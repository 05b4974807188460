import { afterAll, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { openTestRepositories } from "./support/test-repositories.ts";

const folder = join(import.meta.dir, "..", "sql", "queries");
const files = readdirSync(folder).filter((name) => name.endsWith(".sql"));

for (const kind of ["postgres", "embedded"] as const) {
  describe(`sql/queries on ${kind}`, async () => {
    const repositories = await openTestRepositories(kind);
    afterAll(() => repositories[Symbol.asyncDispose]());

    test.each(files)("%s can be prepared against the migrated schema", async (name) => {
      const text = readFileSync(join(folder, name), "utf8");
      const statement = `q_${name.replaceAll(/\W/g, "_")}`;
      // Postgres refuses to prepare what does not fit the tables: this rejects.
      expect(await repositories.database.query(`prepare ${statement} as ${text}`, [], `prepare ${name}`)).toBeEmpty();
    });
  });
}

describe("sql/queries", () => {
  test.each(files)("%s says its promise in a header and is one statement", (name) => {
    const text = readFileSync(join(folder, name), "utf8");
    expect(text.startsWith("-- ")).toBe(true);
    const code = text.replaceAll(/^--.*$/gm, "").trim();
    expect(code).not.toContain(";");
    const highest = Math.max(0, ...[...code.matchAll(/\$(\d+)/g)].map((match) => Number(match[1])));
    for (let parameter = 1; parameter <= highest; parameter++)
      expect(text).toMatch(new RegExp(`--.*\\$${parameter}\\b`));
  });
});
