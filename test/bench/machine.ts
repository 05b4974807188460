/** What the figures were measured on; names no host. */
import { cpus, release, totalmem } from "node:os";
import type { BenchPostgres } from "./bench-postgres.ts";

export function describeMachine({ version, settings }: BenchPostgres): string[] {
  const models = [...new Set(cpus().map(({ model }) => model.trim()))].join(", ");
  return [
    `machine   ${cpus().length} cores (${models || "unnamed"}), ${Math.round(totalmem() / 2 ** 30)} GiB, ${process.platform} ${release()}`,
    `programs  bun ${Bun.version}, Postgres ${version} (${settings})`,
  ];
}
