import { describe, expect, test } from "bun:test";
import type { Evidence, FailureReason, LookupAnswer } from "../../src/domain/profile.ts";
import {
  createCircuit,
  failedCallsMax,
  failedPeopleMin,
  probeAnswerMsMax,
  probeEveryMs,
} from "../../src/graph/circuit.ts";
import { createFakeClock } from "../budget/fake-clock.ts";
import { cafe, participantIdOf, shop } from "../cache/profiles.ts";
import { createRecordingLog } from "../support/test-repositories.ts";

const evidence: Evidence = { httpStatus: 503, code: null, subcode: null, fbtraceId: null };
const failed = (reason: FailureReason): LookupAnswer => ({ kind: "failed", reason, evidence });
const down = failed("server_error");
const people = Array.from({ length: 50 }, (_, n) => participantIdOf(String(1_000 + n)));
const about = (person: number, answer: LookupAnswer) => new Map([[people[person] ?? "", answer]]);
const many = (answer: LookupAnswer) => new Map(people.map((id) => [id, answer]));

function open() {
  const clock = createFakeClock();
  const { log, lines } = createRecordingLog();
  const circuit = createCircuit({ clock, log });
  const fail = () => {
    for (let call = 0; call < failedCallsMax; call++) circuit.note("instagram", about(call, down));
  };
  return { clock, circuit, fail, lines, failing: () => circuit.state("instagram").failingSinceMs !== null };
}

describe("createCircuit()", () => {
  test("opens on failures in a row about different people, and says so once", () => {
    const { circuit, failing, lines } = open();
    for (let call = 0; call < failedCallsMax; call++) {
      expect(failing()).toBe(false);
      expect(circuit.ask("instagram", shop).calls).toBe(Number.POSITIVE_INFINITY);
      circuit.note("instagram", about(call, call % 2 === 0 ? failed("timeout") : failed("network")));
    }
    circuit.note("instagram", many(down));
    expect(failing()).toBe(true);
    expect(circuit.ask("instagram", shop)).toEqual({ calls: 0, resumeInMs: probeEveryMs });
    expect(lines.map(({ level }) => level)).toEqual(["error"]);
  });

  test("does not open for one person, for one batch, nor for errors that are answers", () => {
    const { circuit, failing } = open();
    for (let call = 0; call < 20; call++) circuit.note("instagram", about(0, down));
    expect(failing()).toBe(false);
    const other = open();
    other.circuit.note("facebook", many(down));
    expect(other.circuit.state("facebook").failingSinceMs).toBeNull();
    const answers: LookupAnswer[] = [
      { kind: "absent", reason: "no_consent", evidence },
      { kind: "blocked", reason: "token_dead", evidence },
      { kind: "throttled", scope: "app", resumeInMs: null, evidence },
      failed("bad_request"),
      failed("wrong_person"),
    ];
    for (const answer of answers)
      for (let call = 0; call < 20; call++) other.circuit.note("instagram", about(call, answer));
    expect(other.failing()).toBe(false);
  });

  test("counts single GETs one by one, and batches as the calls they are", () => {
    const { circuit, failing } = open();
    for (let call = 1; call < failedCallsMax; call++) expect(circuit.note("facebook", many(down))).toBe(true);
    expect(circuit.note("facebook", many(down))).toBe(false);
    expect(failing()).toBe(false);
    expect(circuit.note("instagram", many(down))).toBe(false);
    expect(failing()).toBe(true);
  });

  test("whoever comes while a probe is under way waits for its answer, not for the next probe", () => {
    const { circuit, clock, fail } = open();
    fail();
    clock.advance(probeEveryMs);
    expect(circuit.ask("instagram", shop)).toEqual({ calls: 1, resumeInMs: probeEveryMs });
    clock.advance(1_000);
    expect(circuit.ask("instagram", shop)).toEqual({ calls: 0, resumeInMs: probeAnswerMsMax - 1_000 });
    circuit.note("instagram", about(0, down));
    expect(circuit.ask("instagram", shop)).toEqual({ calls: 0, resumeInMs: probeEveryMs - 1_000 });
    // A probe that nobody ever answers holds nobody up beyond its own time.
    clock.advance(probeEveryMs - 1_000);
    expect(circuit.ask("instagram", shop).calls).toBe(1);
    clock.advance(probeAnswerMsMax);
    expect(circuit.ask("instagram", shop)).toEqual({ calls: 0, resumeInMs: probeEveryMs - probeAnswerMsMax });
  });

  test("an answer in between begins the count anew, what was held back tells nothing", () => {
    const { circuit, failing } = open();
    for (let call = 0; call < 40; call++)
      circuit.note("instagram", about(call, call % 4 === 3 ? failed("unknown_code") : down));
    expect(failing()).toBe(false);
    for (let call = 0; call < 40; call++) circuit.note("instagram", about(call, failed("not_answered")));
    expect(failing()).toBe(false);
    expect(failedPeopleMin).toBeGreaterThan(1);
  });

  test("makes one probe in 30 s and account for two hours of failure, and keeps nothing that grows", () => {
    const { circuit, clock, fail } = open();
    fail();
    const probes = { [shop]: 0, [cafe]: 0 };
    for (let second = 0; second < 7_200; second++) {
      clock.advance(1_000);
      for (const account of [shop, cafe])
        for (let caller = 0; caller < 5; caller++) {
          const { calls } = circuit.ask("instagram", account);
          expect(calls).toBeLessThanOrEqual(1);
          probes[account] = (probes[account] ?? 0) + calls;
          if (calls === 1) circuit.note("instagram", about(caller, down));
        }
    }
    expect(Object.values(probes)).toEqual([240, 240]);
  });

  test("closes for everybody on the first answer, and the other host never noticed", () => {
    const { circuit, clock, fail, failing, lines } = open();
    fail();
    expect(circuit.ask("facebook", shop).calls).toBe(Number.POSITIVE_INFINITY);
    clock.advance(probeEveryMs);
    expect(circuit.ask("instagram", shop).calls).toBe(1);
    circuit.note("instagram", about(0, { kind: "absent", reason: "gone", evidence }));
    expect(failing()).toBe(false);
    expect(circuit.ask("instagram", cafe).calls).toBe(Number.POSITIVE_INFINITY);
    expect(lines.at(-1)?.message).toBe("Instagram answers again at graph.instagram.com");
  });
});
