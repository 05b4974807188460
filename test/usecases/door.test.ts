import { describe, expect, test } from "bun:test";
import { createDoor } from "../../src/usecases/door.ts";
import { createManualClock } from "../cli/manual-clock.ts";

describe("createDoor()", () => {
  test("tells each turn once, and for how long it was shut, also while it is", () => {
    const { clock, advance } = createManualClock();
    const turns: boolean[] = [];
    const door = createDoor((shut) => turns.push(shut), clock);
    advance(5_000);
    door.set(false);
    expect([door.isShut(), door.shutMs(), turns]).toEqual([false, 0, []]);
    door.set(true);
    advance(300);
    door.set(true);
    advance(200);
    expect([door.isShut(), door.shutMs(), turns]).toEqual([true, 500, [true]]);
    door.set(false);
    advance(9_000);
    expect([door.isShut(), door.shutMs(), turns]).toEqual([false, 500, [true, false]]);
    door.set(true);
    advance(1);
    expect(door.shutMs()).toBe(501);
  });
});
