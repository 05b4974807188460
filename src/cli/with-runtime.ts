import { readConfig } from "../config.ts";
import { openRuntime, type Runtime } from "../runtime.ts";
import type { ExitCode, Io } from "./io.ts";
import { openCommandLog } from "./log-output.ts";

/** Opens what a short command needs, runs `use`, closes it again. Throws what readConfig() and openRuntime() throw. */
export async function withRuntime(io: Io, use: (runtime: Runtime) => Promise<ExitCode>): Promise<ExitCode> {
  const config = readConfig(io.env, { appSecret: false, isTty: io.stderr.isTty });
  using output = openCommandLog(config, io);
  await using runtime = await openRuntime(config, { clock: io.clock, log: output.log, role: "command" });
  return await use(runtime);
}
