/** The Postgres of a bench run: one of our own with fsync on, and a fresh database for every measurement. */
import postgres from "postgres";
import { openPostgres } from "../support/services.ts";

export type BenchDatabase = AsyncDisposable & { readonly url: string; readonly sql: postgres.Sql };
export type BenchPostgres = Awaited<ReturnType<typeof openBenchPostgres>>;

/** Settings that a figure depends on, printed with it. */
const toldSettings = ["fsync", "synchronous_commit", "full_page_writes", "jit", "shared_buffers"];

/** Starts a real Postgres with its packaged settings; the caller ends it. */
export async function openBenchPostgres() {
  await using opening = new AsyncDisposableStack();
  const server = opening.use(await openPostgres({ settings: { log_parameter_max_length: "0" } }));
  const admin = connect(server.url);
  opening.defer(() => admin.end({ timeout: 2 }));
  const [row] = await admin<{ version: string }[]>`select current_setting('server_version') as version`;
  const told = await admin<{ name: string; setting: string }[]>`
    select name, current_setting(name) as setting from pg_settings where name in ${admin(toldSettings)} order by name`;
  let count = 0;
  const owned = opening.move();
  return {
    server,
    version: row?.version ?? "unknown",
    settings: told.map(({ name, setting }) => `${name} ${setting}`).join(", "),
    /** An empty database; what was written before is on disk, so that no run pays for the one before it. */
    async openDatabase(): Promise<BenchDatabase> {
      count += 1;
      const name = `bench_${count}`;
      await admin`create database ${admin(name)}`;
      await admin`checkpoint`;
      const url = new URL(server.url);
      url.pathname = `/${name}`;
      const sql = connect(url.href);
      return {
        url: url.href,
        sql,
        [Symbol.asyncDispose]: async () => {
          await sql.end({ timeout: 2 });
          await admin`drop database ${admin(name)} with (force)`;
        },
      };
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function connect(url: string): postgres.Sql {
  return postgres(url, { max: 1, connect_timeout: 10, onnotice: () => {} });
}
