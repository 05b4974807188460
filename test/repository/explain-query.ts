import { join } from "node:path";
import type { Database } from "../../src/repository/database.ts";

const folder = join(import.meta.dir, "../../sql/queries");
const explainMsMax = 60_000;

/**
 * What Postgres plans for a statement of sql/queries, as a prepared one: `generic` with its values unknown, as it is kept,
 * or `custom` for these. `values` are SQL; `options` are EXPLAIN's, such as `(analyze, format json)`.
 */
export async function explainQuery(
  database: Pick<Database, "inTransaction">,
  name: string,
  values: readonly string[],
  { mode, options = "" }: { readonly mode: "generic" | "custom"; readonly options?: string },
): Promise<Record<string, unknown>[]> {
  const text = await Bun.file(join(folder, name)).text();
  let rows: Record<string, unknown>[] = [];
  await database.inTransaction(
    async (run) => {
      await run(`set local plan_cache_mode = force_${mode}_plan`);
      await run(`prepare explained as ${text}`);
      rows = await run(`explain ${options} execute explained(${values.join(", ")})`);
      await run("deallocate explained");
    },
    "explain",
    explainMsMax,
  );
  return rows;
}
