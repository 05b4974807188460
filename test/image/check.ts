/**
 * Builds the image and tries it for real: `bun run image:check`. With a Docker engine where one answers, else with
 * buildah on base images of its own making. The last line is `N passed, N failed`; exit code 0 only where nothing failed.
 */
import { resolve } from "node:path";
import { waitUntil } from "../support/bounded-wait.ts";
import { findFreePort } from "../support/server-process.ts";
import { openBuildahEngine } from "./buildah-engine.ts";
import { createDockerEngine, hasDocker } from "./docker-engine.ts";
import type { ImageConfig, ImageEngine, RunEnd } from "./engine.ts";

const healthyTimeoutMs = 60_000; // The embedded database is made at the first start: about 5 s on two idle cores.

/** Throws the evidence unless `holds`. */
function demand(holds: boolean, evidence: string): void {
  if (!holds) throw new Error(evidence);
}

const describeEnd = ({ exitCode, stdout, stderr }: RunEnd) => `exit ${exitCode}\n${stdout}${stderr}`;

async function main(): Promise<number> {
  const root = resolve(import.meta.dir, "../..");
  let passed = 0;
  let failed = 0;
  const check = async (sentence: string, run: () => Promise<void>) => {
    const startedMs = performance.now();
    let trouble: string | null = null;
    try {
      await run();
    } catch (error) {
      trouble = error instanceof Error ? error.message : String(error);
    }
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
    process.stdout.write(`${trouble === null ? "ok    " : "FAILED"} ${sentence} (${seconds} s)\n`);
    if (trouble === null) passed += 1;
    else {
      failed += 1;
      process.stdout.write(`${trouble.replace(/^/gm, "       ")}\n`);
    }
    return trouble === null;
  };
  try {
    await using engine = (await hasDocker()) ? createDockerEngine(root) : await openBuildahEngine(root);
    process.stdout.write(`Engine: ${engine.name}\n`);
    if (await check("the image builds from the Dockerfile", engine.build)) await checkImage(engine, check);
  } catch (error) {
    failed += 1;
    process.stdout.write(`${error instanceof Error ? error.message : error}\n`);
  }
  process.stdout.write(`${passed} passed, ${failed} failed\n`);
  return failed === 0 && passed > 0 ? 0 : 1;
}

type Check = (sentence: string, run: () => Promise<void>) => Promise<boolean>;

async function checkImage(engine: ImageEngine, check: Check): Promise<void> {
  const config = await engine.readConfig();
  await check("its settings: numeric user, exec forms, one volume, no address of its own", async () =>
    checkConfig(config),
  );
  await check("it carries the binary alone", () => checkFiles(engine));
  for (const words of [["version"], ["--help"], ["backfill", "--help"]]) {
    await check(`social-sync ${words.join(" ")} runs read-only and without a shell`, async () => {
      const end = await engine.run(words);
      demand(end.exitCode === 0 && end.stdout.trim() !== "", describeEnd(end));
    });
  }
  await check("serve refuses to start without META_APP_SECRET", async () => {
    const end = await engine.run(["serve"]);
    demand(end.exitCode === 1 && end.stderr.includes("META_APP_SECRET"), describeEnd(end));
  });
  const port = String(await findFreePort());
  await check("serve --sandbox becomes healthy and ends at SIGTERM", () => checkServe(engine, { config, port }));
  const before = await engine.listData();
  await check("the volume keeps the data for the next container", async () => {
    demand(before.length > 0, "The volume is empty after the first run.");
    await checkServe(engine, { config, port });
    const after = await engine.listData();
    const lost = before.filter((name) => !after.includes(name));
    demand(lost.length === 0, `Lost from the volume: ${lost.join(", ")}`);
  });
}

function checkConfig({ user, entrypoint, healthcheck, volumes, env }: ImageConfig): void {
  demand(/^[1-9]\d*(:[1-9]\d*)?$/.test(user), `USER is ${user}, not a number above 0.`);
  demand(entrypoint.join(" ") === "social-sync", `ENTRYPOINT is ${JSON.stringify(entrypoint)}.`);
  demand(healthcheck.join(" ") === "CMD social-sync healthcheck", `HEALTHCHECK is ${JSON.stringify(healthcheck)}.`);
  demand(volumes.join(" ") === "/data", `VOLUME is ${JSON.stringify(volumes)}.`);
  demand(env.includes("SOCIAL_SYNC_DATA_DIR=/data"), `ENV is ${JSON.stringify(env)}.`);
  demand(!env.some((line) => line.startsWith("HOST=")), "HOST is set: the daemon would listen to all without a key.");
}

async function checkFiles(engine: ImageEngine): Promise<void> {
  const local = await engine.listFiles("/usr/local/bin");
  const files = local.filter((path) => !path.endsWith("/"));
  const inBin = files.filter((path) => path !== "/usr/local/bin");
  demand(inBin.join(" ") === "/usr/local/bin/social-sync", `In /usr/local/bin: ${inBin.join(", ")}`);
  const odd = ["/build", "/root", "/srv", "/opt", "/home"];
  for (const folder of odd) {
    const found = await engine.listFiles(folder).catch(() => []);
    const strange = found.filter((path) => /node_modules|package\.json|\.ts$/.test(path));
    demand(strange.length === 0, `Left over: ${strange.slice(0, 5).join(", ")}`);
  }
}

type Serve = { readonly config: ImageConfig; readonly port: string };

async function checkServe(engine: ImageEngine, { config, port }: Serve): Promise<void> {
  const healthcheck = config.healthcheck.slice(1); // After the word CMD: exactly what the engine would run.
  const env = { PORT: port };
  await using container = await engine.start(["serve", "--sandbox"], { env });
  let last: RunEnd | null = null;
  const isHealthy = async () => {
    last = await container.exec(healthcheck);
    return last.exitCode === 0;
  };
  try {
    await waitUntil(isHealthy, healthyTimeoutMs, "The health check has not passed", 200);
  } catch (error) {
    throw new Error(`${error}\n${last === null ? "" : describeEnd(last)}\n${await container.readOutput()}`);
  }
  const { uid, rootIsReadOnly } = await container.readProcess();
  demand(uid === Number(config.user.split(":")[0]), `It runs as user ${uid}.`);
  demand(rootIsReadOnly, "Its root file system can be written to.");
  const exitCode = await container.stop();
  demand(exitCode === 0, `It ended with ${exitCode} after SIGTERM.\n${await container.readOutput()}`);
  const after = await engine.run(healthcheck.slice(1), { env });
  demand(after.exitCode !== 0, "The health check passes although nothing serves.");
}

process.exitCode = await main();
