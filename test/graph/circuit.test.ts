import { describe, expect, test } from "bun:test";
import type { Evidence, FailureReason, LookupAnswer } from "../../src/domain/profile.ts";
import {
  ailingMax,
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

  test("makes one probe in 30 s and account for two hours of failure", () => {
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

describe("the ailing, on whom a host fails while it answers for others", () => {
  const found: LookupAnswer = { kind: "absent", reason: "gone", evidence };
  const round = (failing: readonly number[], answered: readonly number[]) =>
    new Map([
      ...failing.map((person) => [people[person] ?? "", down] as const),
      ...answered.map((person) => [people[person] ?? "", found] as const),
    ]);
  const twelve = Array.from({ length: 12 }, (_, n) => n);
  const others = [20, 21, 22, 23, 24, 25];
  /** The first twelve ail; then they alone are asked, twice more. */
  function openTail(mark: (circuit: ReturnType<typeof open>["circuit"]) => void) {
    const stage = open();
    mark(stage.circuit);
    for (const person of [...twelve, ...twelve]) stage.circuit.note("instagram", about(person, down));
    return stage;
  }
  /** Single calls that fail until the circuit opens. */
  function countToOpen({ circuit, failing }: ReturnType<typeof open>, of: readonly number[]): number {
    let calls = 0;
    for (; !failing() && calls < of.length; calls++) circuit.note("instagram", about(of[calls] ?? 0, down));
    return failing() ? calls : Number.POSITIVE_INFINITY;
  }

  test.each([
    ["failed in the round that brought the answers", (c) => c.note("instagram", round(twelve, others))],
    [
      "failed one by one, with answers in between",
      (c) => {
        for (const person of twelve) {
          c.note("instagram", about(person, down));
          if (person % 4 === 3) c.note("instagram", about(30, found));
        }
      },
    ],
    [
      "failed all at once, while another call was under way",
      (c) => {
        expect(c.note("instagram", round(twelve, []))).toBe(false);
        expect(c.note("instagram", about(30, found))).toBe(true);
      },
    ],
  ] satisfies [string, (circuit: ReturnType<typeof open>["circuit"]) => void][])(
    "who %s: they do not open it, and the others do as promptly as ever",
    (_, mark) => {
      const stage = openTail(mark);
      expect(stage.failing()).toBe(false);
      expect(stage.circuit.ask("instagram", shop).calls).toBe(Number.POSITIVE_INFINITY);
      // Between two of the others one of the ailing fails too: neither counts nor ends the row.
      const mixed = others.flatMap((person, at) => [person, twelve[at] ?? 0]);
      expect(countToOpen(stage, mixed)).toBe(2 * failedCallsMax - 1);
    },
  );

  test("neither do the items of batches, which are one call with the others'", () => {
    const { circuit } = open();
    circuit.note("facebook", round(twelve, others));
    for (let call = 0; call < 20; call++) circuit.note("facebook", round(twelve, []));
    expect(circuit.state("facebook").failingSinceMs).toBeNull();
    const all = round([...twelve, ...others], []);
    for (let call = 1; call < failedCallsMax; call++) expect(circuit.note("facebook", all)).toBe(true);
    expect(circuit.note("facebook", all)).toBe(false);
  });

  test("whoever failed in an outage is none of them: the next outage opens it as promptly, with the same people", () => {
    const stage = open();
    for (let outage = 0; outage < 3; outage++) {
      expect(countToOpen(stage, twelve)).toBe(failedCallsMax);
      for (const person of twelve.slice(failedCallsMax)) {
        stage.clock.advance(probeEveryMs);
        expect(stage.circuit.ask("instagram", shop).calls).toBe(1);
        stage.circuit.note("instagram", about(person, down));
      }
      stage.clock.advance(probeEveryMs);
      stage.circuit.ask("instagram", shop);
      // The probe's answer, and a call that has hung since before.
      stage.circuit.note("instagram", round([6], [30]));
      expect(stage.failing()).toBe(false);
    }
  });

  test("an answer about them forgets them; a limit or a refused account is none", () => {
    const asked = new Map(twelve.map((person) => [people[person] ?? "", found] as const));
    const all = (answer: LookupAnswer) => new Map([...asked.keys()].map((id) => [id, answer]));
    const stage = openTail((circuit) => circuit.note("instagram", round(twelve, others)));
    for (const answer of [
      { kind: "throttled", scope: "app", resumeInMs: null, evidence },
      { kind: "blocked", reason: "token_dead", evidence },
    ] as const) {
      stage.circuit.note("instagram", all(answer));
      expect(countToOpen(stage, twelve)).toBe(Number.POSITIVE_INFINITY);
    }
    stage.circuit.note("instagram", asked);
    expect(countToOpen(stage, twelve)).toBe(failedCallsMax);
  });

  test("are those of one host, and the latest of so many", () => {
    const stage = openTail((circuit) => circuit.note("instagram", round(twelve, others)));
    for (let call = 0; call < failedCallsMax; call++) stage.circuit.note("facebook", round(twelve, []));
    expect(stage.circuit.state("facebook").failingSinceMs).not.toBeNull();

    const newer = Array.from({ length: ailingMax - 2 }, (_, n) => [`newer-${n}`, down] as const);
    stage.circuit.note("instagram", round([0], [30])); // failed again: one of the latest
    stage.circuit.note("instagram", new Map([...newer, [people[30] ?? "", found]]));
    // 0 and the last of the first are left beside the newer ones.
    for (const [id] of newer) stage.circuit.note("instagram", new Map([[id, down]]));
    expect(countToOpen(stage, [0, 11])).toBe(Number.POSITIVE_INFINITY);
    expect(countToOpen(stage, twelve.slice(1, 11))).toBe(failedCallsMax);
  });

  test("are found among no more of those who failed than are remembered", () => {
    const { circuit, failing } = open();
    const many = Array.from({ length: 3 * ailingMax }, (_, n) => `many-${n}`);
    circuit.note("instagram", new Map(many.map((id) => [id, down])));
    expect(failing()).toBe(true);
    circuit.note("instagram", about(30, found));
    for (const id of many.slice(0, ailingMax)) circuit.note("instagram", new Map([[id, down]]));
    expect(failing()).toBe(false);
    circuit.note("instagram", new Map(many.slice(ailingMax).map((id) => [id, down])));
    expect(failing()).toBe(true);
  });
});
