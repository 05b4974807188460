/** The compiled program under test: the gate's own build, else one made here, once a process. */
import { join } from "node:path";

const root = join(import.meta.dir, "..", "..");
let built: Promise<string> | null = null;

/** The path of the compiled binary. Throws where it cannot be built. */
export function compiledBinary(): Promise<string> {
  const given = process.env.SOCIAL_SYNC_BINARY;
  if (given) return Promise.resolve(given);
  built ??= build();
  return built;
}

async function build(): Promise<string> {
  const child = Bun.spawn([process.execPath, "run", "build"], { cwd: root, stdout: "pipe", stderr: "pipe" });
  const text = (await new Response(child.stdout).text()) + (await new Response(child.stderr).text());
  if ((await child.exited) !== 0) throw new Error(`Cannot build the binary:\n${text}`);
  return join(root, "dist", "social-sync");
}
