import { describe, expect, test } from "bun:test";
import { openIdleConnections, sendRaw } from "./raw-socket.ts";
import { openTestServer } from "./test-server.ts";

const post = "POST /webhooks/instagram HTTP/1.1\r\nHost: localhost\r\n";

function* drip(head: string, piece = "a"): Generator<string> {
  yield head;
  while (true) yield piece;
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
    // A bare LF ends no line, so Bun reads no version at the end of the first: 505, where 400 is usual. It answers before
    // anything of ours runs, refuses and closes, and that is what keeps two readers from seeing different requests.
    ["a first line that ends in a bare LF", "POST /webhooks/instagram HTTP/1.1\nHost: localhost\n\n", 505],
    ["a header that ends in a bare LF", "GET / HTTP/1.1\r\nHost: localhost\nX: y\r\n\r\n", 400],
    ["headers that end in a bare LF", "GET / HTTP/1.1\r\nHost: localhost\r\nX: y\n\n", 400],
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
    let received = 0;
    await using server = openTestServer({
      receive: async () => {
        received += 1;
        return "kept";
      },
    });
    const withPauses = { gapMs: 4000, forMs: 25_000 };
    const neverIdle = { gapMs: 1000, forMs: 25_000 };
    const chunked = `${post}Transfer-Encoding: chunked\r\n\r\n`;
    let open = true;
    const slow = Promise.all([
      sendRaw(server.port, ["GET / HTT"], withPauses),
      sendRaw(server.port, drip(`${post}X-Slow: `), withPauses),
      sendRaw(server.port, drip(`${post}Content-Length: 100000\r\n\r\n`), withPauses),
      sendRaw(server.port, drip(`${post}X-Slow: `), neverIdle),
      sendRaw(server.port, drip(post, "X: y\r\n"), neverIdle),
      sendRaw(server.port, drip(`${post}Content-Length: 100000\r\n\r\n`), neverIdle),
      sendRaw(server.port, drip(chunked, "1\r\na\r\n"), neverIdle),
    ]).finally(() => {
      open = false;
    });
    let served = 0;
    while (open) {
      expect((await server.ask("POST", "/webhooks/instagram", { body: "{}" })).status).toBe(200);
      served += 1;
      await Bun.sleep(100);
    }
    for (const { closed, afterMs } of await slow) {
      expect(closed).toBe(true);
      expect(afterMs).toBeLessThan(20_000);
    }
    expect(received).toBe(served);
  }, 30_000);

  test("a body that comes too fast to be idle and never ends is cut once its whole time is over", async () => {
    await using server = openTestServer({}, { bodyMs: 2_000 });
    // Some 400 kB a second: Bun's own bound lets that go on until the cap.
    const steady = drip(`${post}Content-Length: 4000000\r\n\r\n`, "a".repeat(20_000));
    const slow = sendRaw(server.port, steady, { gapMs: 50, forMs: 20_000 });
    expect((await server.ask("GET", "/health/live")).status).toBe(200);
    const { text, closed, afterMs } = await slow;
    expect(text).toStartWith("HTTP/1.1 408 ");
    expect(closed).toBe(true);
    expect(afterMs).toBeGreaterThan(1_900);
    expect(afterMs).toBeLessThan(8_000);
  }, 30_000);

  test("2,000 idle connections hold up nobody", async () => {
    await using server = openTestServer();
    const timeAcks = async () => {
      const times: number[] = [];
      for (let n = 0; n < 200; n++) {
        const startMs = performance.now();
        expect((await server.ask("POST", "/webhooks/instagram", { body: "{}" })).status).toBe(200);
        times.push(performance.now() - startMs);
      }
      return times.toSorted((a, b) => a - b)[100] ?? Number.NaN;
    };
    await timeAcks(); // warm
    const aloneMs = await timeAcks();
    await using idle = await openIdleConnections(server.port, 2_000);
    const besideMs = await timeAcks();
    expect(idle.open()).toBe(2_000);
    // Twice the time, and 2 ms for the noise of a shared machine: an answer alone takes a fraction of one.
    expect(besideMs).toBeLessThan(2 * aloneMs + 2);
  }, 30_000);
});
