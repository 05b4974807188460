import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startCli } from "./run-cli.ts";

setDefaultTimeout(60_000);

async function readUntil(stream: ReadableStream<Uint8Array>, pattern: RegExp): Promise<string> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of stream) {
    text += decoder.decode(chunk, { stream: true });
    if (pattern.test(text)) return text;
  }
  throw new Error(`Never said ${pattern}: ${text}`);
}

test("sandbox prints the settings and the accounts to add, answers as Graph, and ends on SIGTERM with 0", async () => {
  const folder = mkdtempSync(join(tmpdir(), "social-sync-tokens-"));
  try {
    const child = startCli(["sandbox", "--port", "0", "--people", "5", "--tokens-folder", folder]);
    const text = await readUntil(child.stdout, /runs until Ctrl-C/);
    const url = text.match(/^export GRAPH_INSTAGRAM_URL=(\S+)$/m)?.[1] ?? "";
    expect(text).toMatch(/^export GRAPH_FACEBOOK_URL=http:\/\/127\.0\.0\.1:\d+\//m);
    expect(text).toMatch(/^export META_APP_SECRET=[0-9a-f]{32}$/m);
    const added = text.match(/^social-sync accounts add .*$/gm) ?? [];
    expect(added).toHaveLength(2);
    const file = added[0]?.match(/--token-file (\S+)$/)?.[1] ?? "";
    const token = readFileSync(file, "utf8").trim();
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(text).not.toContain(token);
    const id = added[0]?.match(/--instagram-id (\d+)/)?.[1];
    const me = await fetch(`${url}/v26.0/me?fields=id,user_id,username`, {
      headers: { authorization: `Bearer ${token}` },
    });
    expect(await me.json()).toMatchObject({ user_id: id });
    child.kill("SIGTERM");
    expect(await child.exited).toBe(0);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("sandbox says in a sentence that its port is taken", async () => {
  const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response() });
  const child = startCli(["sandbox", "--port", String(server.port)]);
  expect(await child.stderr.text()).toContain(`Cannot listen on 127.0.0.1:${server.port}: the port is taken\n`);
  expect(await child.exited).toBe(1);
  await server.stop(true);
});
