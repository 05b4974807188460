import { describe, expect, test } from "bun:test";
import type { ParticipantId } from "../../src/domain/ids.ts";
import { createForgetting, forgetEveryMs } from "../../src/usecases/forget-erased.ts";
import { createRecordingLog, openTestRepositories } from "../support/test-repositories.ts";

const people = ["11", "22", "33"] as ParticipantId[];

describe("createForgetting()", () => {
  test("takes out whom an erasure elsewhere has marked, and nobody else, turn by turn", async () => {
    await using db = await openTestRepositories();
    const held = new Set(people);
    let turn = () => {};
    const stop = new AbortController();
    const forgetting = createForgetting(
      {
        erasures: db.erasures,
        cache: {
          listHeld: () => [...held],
          deleteProfiles: async (ids) => ids.every((id) => held.delete(id)),
        },
        clock: {
          after: (delayMs, run) => {
            expect(delayMs).toBe(forgetEveryMs);
            turn = run;
            return () => {};
          },
        },
        log: createRecordingLog().log,
      },
      stop.signal,
    );
    forgetting.start();
    await forgetting.settle();
    expect([...held]).toEqual(people);
    await db.erasures.saveErasures(["22" as ParticipantId], null);
    turn();
    await forgetting.settle();
    expect([...held] as string[]).toEqual(["11", "33"]);
    stop.abort();
  });

  test("looks again where the database was away", async () => {
    let turns = 0;
    const { log, messages } = createRecordingLog();
    const away = async () => {
      throw new Error("away");
    };
    const forgetting = createForgetting(
      {
        erasures: { listErased: away },
        cache: { listHeld: () => people, deleteProfiles: async () => true },
        clock: {
          after: () => {
            turns += 1;
            return () => {};
          },
        },
        log,
      },
      new AbortController().signal,
    );
    forgetting.start();
    await forgetting.settle();
    expect({ turns, told: messages() }).toEqual({ turns: 1, told: ["Erased people looked for later: away"] });
  });
});
