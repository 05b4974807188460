import { describe, expect, test } from "bun:test";
import { bodyMsMax, createBodyReader } from "../../src/http/read-body.ts";
import { createManualClock } from "../cli/manual-clock.ts";

/** A request whose body the test feeds. */
function openRequest() {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const writer = writable.getWriter();
  const request = new Request("http://localhost/", { method: "POST", body: readable });
  return {
    request,
    send: (text: string) => void writer.write(Buffer.from(text)).catch(() => {}),
    close: () => void writer.close(),
    fail: () => void writer.abort(new Error("hung up")).catch(() => {}),
  };
}

describe("createBodyReader()", () => {
  test("answers the bytes, and leaves no timer behind", async () => {
    const { clock, timers } = createManualClock();
    const read = createBodyReader(clock);
    const one = openRequest();
    const reading = read(one.request);
    expect(timers()).toBe(1);
    one.send("ab");
    one.send("c");
    one.close();
    expect(await reading).toEqual(new Uint8Array(Buffer.from("abc")));
    expect(timers()).toBe(0);
    expect(await read(new Request("http://localhost/", { method: "POST" }))).toEqual(new Uint8Array());
    expect(timers()).toBe(0);
  });

  test("gives up a body that never stops to come, after its whole time and not after a pause", async () => {
    const { clock, advance, timers } = createManualClock();
    const read = createBodyReader(clock);
    const slow = openRequest();
    let outcome: unknown = "waiting";
    const reading = read(slow.request).then((body) => {
      outcome = body;
    });
    for (let second = 1; second < bodyMsMax / 1_000; second++) {
      slow.send("a");
      advance(1_000);
      await Bun.sleep(0);
      expect(outcome).toBe("waiting");
    }
    advance(1_000);
    await reading;
    expect(outcome).toBeNull();
    expect(timers()).toBe(0);
    slow.fail(); // what comes of the rest is nobody's error
  });

  test("gives each body its own whole time, with one timer for all", async () => {
    const { clock, advance, timers } = createManualClock();
    const read = createBodyReader(clock, 1_000);
    const bodies = Array.from({ length: 50 }, openRequest);
    const outcomes: unknown[] = [];
    for (const [n, { request }] of bodies.entries()) {
      void read(request).then((body) => {
        outcomes[n] = body?.length ?? null;
      });
      advance(10);
    }
    expect(timers()).toBe(1);
    for (const { send, close } of bodies.slice(10, 20)) {
      send("whole");
      close();
    }
    await Bun.sleep(20);
    advance(760); // 1,260 ms since the first, 770 since the last
    await Bun.sleep(0);
    expect(outcomes.slice(0, 10)).toEqual(Array(10).fill(null));
    expect(outcomes.slice(10, 20)).toEqual(Array(10).fill(5));
    expect(outcomes.slice(20, 27)).toEqual(Array(7).fill(null));
    expect(outcomes.length).toBe(27);
    advance(1_000);
    await Bun.sleep(0);
    expect(outcomes.length).toBe(50);
    expect(timers()).toBe(0);
  });

  test("rejects where the sender hangs up", async () => {
    const { clock, timers } = createManualClock();
    const gone = openRequest();
    const reading = createBodyReader(clock)(gone.request);
    gone.fail();
    expect(reading).rejects.toThrow();
    await reading.catch(() => {});
    expect(timers()).toBe(0);
  });
});
