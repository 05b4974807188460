import { describe, expect, test } from "bun:test";
import { answerHandshake } from "../../src/webhook/answer-handshake.ts";

const ask = (token: string, challenge: string, mode = "subscribe") =>
  new URLSearchParams({ "hub.mode": mode, "hub.challenge": challenge, "hub.verify_token": token });

describe("answerHandshake()", () => {
  test("gives the challenge back on the right token", () => {
    expect(answerHandshake(ask("right", "1158201444"), "right")).toBe("1158201444");
  });

  test.each([
    ["a wrong token", ask("wrong", "1"), "right"],
    ["another mode", ask("right", "1", "unsubscribe"), "right"],
    ["an empty challenge", ask("right", ""), "right"],
    ["a challenge a browser could run", ask("right", "<script>"), "right"],
    ["a challenge of 129 characters", ask("right", "a".repeat(129)), "right"],
    ["no parameters", new URLSearchParams(), "right"],
    ["no configured token", ask("", "1"), null],
  ])("refuses %s", (_name, query, token) => {
    expect(answerHandshake(query, token)).toBeNull();
  });
});
