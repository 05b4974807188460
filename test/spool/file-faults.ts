/** Counts the file calls of this process for real, and lets chosen ones fail as a dying disk would. */
import { type FileHandle, open } from "node:fs/promises";

type Call = "write" | "datasync" | "sync" | "truncate";

/**
 * Watches every open file of this process until disposed. `failNext(call, code)` makes the next such call fail after
 * `letThrough` of them, `times` times in a row.
 */
export async function watchFileCalls() {
  const probe = await open("/dev/null", "r");
  const shared: Record<Call, FileHandle[Call]> = Object.getPrototypeOf(probe);
  await probe.close();
  const counts: Record<Call, number> = { write: 0, datasync: 0, sync: 0, truncate: 0 };
  const faults: { call: Call; code: string; letThrough: number; times: number }[] = [];
  const originals = { write: shared.write, datasync: shared.datasync, sync: shared.sync, truncate: shared.truncate };
  for (const call of ["write", "datasync", "sync", "truncate"] as const) {
    const original = originals[call] as (...given: unknown[]) => unknown;
    const watched = async function (this: FileHandle, ...given: unknown[]) {
      counts[call] += 1;
      const fault = faults.find((one) => one.call === call && one.times > 0);
      if (fault !== undefined && fault.letThrough > 0) fault.letThrough -= 1;
      else if (fault !== undefined) {
        fault.times -= 1;
        // What a full disk does: a part of the bytes is written before it says no.
        if (call === "write") await original.call(this, given[0], given[1], 5, given[3]);
        throw Object.assign(new Error(`${fault.code}: injected`), { code: fault.code });
      }
      return original.apply(this, given);
    };
    Object.assign(shared, { [call]: watched });
  }
  return {
    counts,
    failNext: (call: Call, code: string, { letThrough = 0, times = 1 } = {}) =>
      void faults.push({ call, code, letThrough, times }),
    [Symbol.dispose]: () => void Object.assign(shared, originals),
  };
}
