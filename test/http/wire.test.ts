import { describe, expect, test } from "bun:test";
import { sendRaw } from "./raw-socket.ts";
import { openTestServer } from "./test-server.ts";

const post = "POST /webhooks/instagram HTTP/1.1\r\nHost: localhost\r\n";

function* drip(head: string): Generator<string> {
  yield head;
  while (true) yield "a";
}

describe("on the wire", () => {
  test("pipelined requests are answered in their order", async () => {
    await using server = openTestServer({ answerHandshake: (query) => query.get("n") });
    const get = (n: number) => `GET /webhooks/instagram?n=${n} HTTP/1.1\r\nHost: localhost\r\n\r\n`;
    const { text } = await sendRaw(server.port, [get(1) + get(2) + get(3)], { forMs: 500 });
    expect(
      text
        .split("\r\n\r\n")
        .slice(1)
        .map((part) => part[0]),
    ).toEqual(["1", "2", "3"]);
  });

  test("pipelined deliveries with a body each are each received once", async () => {
    const bodies: string[] = [];
    await using server = openTestServer({
      receive: async (body) => {
        bodies.push(new TextDecoder().decode(body));
        return "kept";
      },
    });
    const one = (body: string) => `${post}Content-Length: ${body.length}\r\n\r\n${body}`;
    const { text } = await sendRaw(server.port, [one("a") + one("bb") + one("ccc")], { forMs: 500 });
    expect(bodies.toSorted()).toEqual(["a", "bb", "ccc"]);
    expect(text.match(/HTTP\/1\.1 200/g)).toHaveLength(3);
  });

  test.each([
    ["a length and chunks at once", `${post}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, 400],
    ["two lengths", `${post}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd`, 400],
    ["no Host", "POST /webhooks/instagram HTTP/1.1\r\nContent-Length: 0\r\n\r\n", 400],
    ["headers of 40 kB", `${post}X: ${"y".repeat(40_000)}\r\n\r\n`, 431],
    ["a declared length over the cap", `${post}Content-Length: 999999999\r\n\r\n`, 413],
  ])("%s is refused and the connection closed", async (_what, text, status) => {
    let received = 0;
    await using server = openTestServer({
      receive: async () => {
        received += 1;
        return "kept";
      },
    });
    const answer = await sendRaw(server.port, [text]);
    expect(answer.text).toStartWith(`HTTP/1.1 ${status} `);
    expect(answer.closed).toBe(true);
    expect(received).toBe(0);
  });

  test("chunks that add up to more than the cap are refused", async () => {
    await using server = openTestServer({}, { webhookBodyMax: 1000 });
    const chunk = `400\r\n${"x".repeat(1024)}\r\n`;
    const answer = await sendRaw(server.port, [`${post}Transfer-Encoding: chunked\r\n\r\n`, chunk, "0\r\n\r\n"], {
      gapMs: 20,
    });
    expect(answer.text).toStartWith("HTTP/1.1 413 ");
  });

  test("a sender that hangs up in the middle of a body is nobody's error", async () => {
    await using server = openTestServer({
      receive: async () => {
        throw new Error("must not be called");
      },
    });
    await sendRaw(server.port, [`${post}Content-Length: 100\r\n\r\nabc`], { forMs: 100 });
    await Bun.sleep(100);
    expect(server.lines).toEqual([]);
    expect((await server.ask("GET", "/health/live")).status).toBe(200);
  });

  test("slow senders are closed, in the headers and in the body, and others are served meanwhile", async () => {
    await using server = openTestServer();
    const options = { gapMs: 4000, forMs: 25_000 };
    const slow = Promise.all([
      sendRaw(server.port, ["GET / HTT"], options),
      sendRaw(server.port, drip(`${post}X-Slow: `), options),
      sendRaw(server.port, drip(`${post}Content-Length: 100000\r\n\r\n`), options),
    ]);
    expect((await server.ask("GET", "/health/live")).status).toBe(200);
    for (const { closed, afterMs } of await slow) {
      expect(closed).toBe(true);
      expect(afterMs).toBeLessThan(20_000);
    }
  }, 30_000);
});
