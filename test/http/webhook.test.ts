import { describe, expect, test } from "bun:test";
import { bytesArrivingMax } from "../../src/http/webhook-routes.ts";
import { checkAnswer } from "./contract.ts";
import { openTestServer } from "./test-server.ts";

const path = "/webhooks/instagram";

describe("the handshake", () => {
  test("answers the challenge as plain text and hands the whole query over", async () => {
    let seen = "";
    await using server = openTestServer({
      answerHandshake: (query) => {
        seen = query.toString();
        return query.get("hub.challenge");
      },
    });
    const answer = await server.ask("GET", `${path}?hub.mode=subscribe&hub.challenge=abc-1&hub.verify_token=t%20t`);
    expect([answer.status, answer.body]).toEqual([200, "abc-1"]);
    expect(answer.headers.get("content-type")).toBe("text/plain;charset=utf-8");
    expect(seen).toBe("hub.mode=subscribe&hub.challenge=abc-1&hub.verify_token=t+t");
    expect((await server.ask("HEAD", `${path}?hub.challenge=abc`)).status).toBe(200);
  });

  test("is refused with 403 where the dependency refuses it", async () => {
    await using server = openTestServer();
    expect((await server.ask("GET", path)).status).toBe(403);
  });
});

describe("a delivery", () => {
  test("reaches receive() byte for byte, with its signature", async () => {
    const seen: { body: Uint8Array; signature: string | null }[] = [];
    await using server = openTestServer({
      receive: async (body, headers) => {
        seen.push({ body, signature: headers.get("x-hub-signature-256") });
        return "kept";
      },
    });
    const bytes = new Uint8Array([0xef, 0xbb, 0xbf, 0x7b, 0xff, 0xfe, 0x00, 0x7d, 0x0d, 0x0a]);
    for (const type of ["application/json", "multipart/form-data; boundary=x", "text/plain", ""]) {
      const answer = await server.ask("POST", path, {
        body: bytes,
        headers: { "X-Hub-Signature-256": "sha256=ab", "Content-Type": type },
      });
      expect([answer.status, answer.body]).toEqual([200, "ok"]);
    }
    expect(seen).toHaveLength(4);
    for (const { body, signature } of seen) {
      expect(body).toEqual(bytes);
      expect(signature).toBe("sha256=ab");
    }
    await server.ask("POST", `${path}?x=1`);
    expect(seen.at(-1)).toEqual({ body: new Uint8Array(), signature: null });
  });

  test("without a right signature is a 401 whose body is always the same", async () => {
    await using server = openTestServer({ receive: async () => "unsigned" });
    const first = await server.ask("POST", path, { body: "{}" });
    const second = await server.ask("POST", path, { body: "[]", headers: { "X-Hub-Signature-256": "sha256=00" } });
    expect(first.status).toBe(401);
    expect(second.body).toBe(first.body);
  });

  test("that cannot be kept is a 503 with Retry-After", async () => {
    await using server = openTestServer({ receive: async () => "unavailable" });
    const answer = await server.ask("POST", path, { body: "{}" });
    expect([answer.status, answer.headers.get("retry-after")]).toEqual([503, "5"]);
  });

  test("that is refused many times is refused in the same words each time", async () => {
    await using server = openTestServer({ receive: async () => "unavailable" });
    const answers = await Promise.all(Array.from({ length: 50 }, () => server.ask("POST", path, { body: "{}" })));
    expect(new Set(answers.map(({ status, body }) => `${status} ${body}`)).size).toBe(1);
    expect(answers.every(({ headers }) => headers.get("retry-after") === "5")).toBe(true);
  });

  test("whose body takes longer than its time is a 408, and its bytes are not received", async () => {
    let received = 0;
    await using server = openTestServer(
      {
        receive: async () => {
          received += 1;
          return "kept";
        },
      },
      { bodyMs: 50 },
    );
    const body = new ReadableStream({ start: (stream) => stream.enqueue(Buffer.from("a")) });
    const request = new Request(`http://localhost${path}`, { method: "POST", body });
    const answer = await server.app.fetch(request, () => null);
    checkAnswer("POST", path, { status: answer.status, headers: answer.headers, body: await answer.text() });
    expect([answer.status, received]).toEqual([408, 0]);
  });

  test("is a 503 that is counted where the bytes of others on their way in are as many as may be", async () => {
    let shed = 0;
    await using server = openTestServer({
      onShed: () => {
        shed += 1;
      },
    });
    const senders: ReadableStreamDefaultController<Uint8Array>[] = [];
    const begin = () => {
      const body = new ReadableStream<Uint8Array>({ start: (sender) => void senders.push(sender) });
      return server.app.fetch(new Request(`http://localhost${path}`, { method: "POST", body }), () => null);
    };
    // Whoever does not say how long it is may be as long as a body can be.
    const fit = bytesArrivingMax / server.app.webhookBodyMax;
    const taken = Array.from({ length: fit }, begin);
    const refused = await begin();
    expect([refused.status, refused.headers.get("retry-after"), shed]).toEqual([503, "5", 1]);
    for (const sender of senders.slice(0, fit)) sender.close();
    for (const answer of taken) expect((await answer).status).toBe(200);
    const after = begin();
    senders.at(-1)?.close();
    expect([(await after).status, shed]).toEqual([200, 1]);
  });

  test("that meets a bug is a 503 too, so that Instagram sends it again, and is logged once without its text", async () => {
    await using server = openTestServer({
      receive: async () => {
        throw new Error("s3cret");
      },
    });
    const answer = await server.ask("POST", path, { body: "{}" });
    expect(answer.status).toBe(503);
    expect(answer.body).not.toContain("s3cret");
    expect(server.lines.map(({ level }) => level)).toEqual(["error"]);
  });

  test("over the cap is a 413, at the cap it is taken", async () => {
    let received = 0;
    await using server = openTestServer(
      {
        receive: async () => {
          received += 1;
          return "kept";
        },
      },
      { webhookBodyMax: 1000 },
    );
    expect((await server.ask("POST", path, { body: "x".repeat(1000) })).status).toBe(200);
    expect((await server.ask("POST", path, { body: "x".repeat(1001) })).status).toBe(413);
    expect(received).toBe(1);
    const direct = new Request(`http://localhost${path}`, { method: "POST", body: "x".repeat(1001) });
    const answer = await server.app.fetch(direct, () => null);
    expect([answer.status, answer.headers.get("content-type")]).toEqual([413, "application/problem+json"]);
    expect(received).toBe(1);
  });

  test("is answered the same by Elysia's own route", async () => {
    await using server = openTestServer();
    const answer = await server.app.elysia.fetch(
      new Request(`http://localhost${path}`, { method: "POST", body: "{}" }),
    );
    expect([answer.status, await answer.text()]).toEqual([200, "ok"]);
  });

  test("is taken under a path that only looks alike as little as under any other", async () => {
    await using server = openTestServer();
    for (const other of [`${path}/`, `${path}s`, `/x${path}`, `/x/${path}`])
      expect((await server.ask("POST", other, { body: "{}" })).status).toBe(404);
  });

  test("needs no API key and no loopback name", async () => {
    await using server = openTestServer({}, { apiKeys: ["k"] });
    expect((await server.ask("POST", path, { body: "{}", headers: { Host: "sync.example" } })).status).toBe(200);
  });
});
