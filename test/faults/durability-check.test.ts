import { describe, expect, test } from "bun:test";
import { checkDurability } from "./durability-check.ts";
import { parseCalls } from "./system-calls.ts";

const walFile = /\/pg_wal\/[0-9A-F]{24}$/;
const wal = "/data/pg_wal/000000010000000000000001";
const line = (pid: number, at: number, text: string) => `${pid} 1795399057.${String(at).padStart(6, "0")} ${text}`;
const steps = {
  post: line(
    10,
    1,
    'recvfrom(19<socket:[7]>, "POST /webhooks/instagram HTTP/1.1\\r\\n…mid-1", 4096, 0, NULL, NULL) = 300',
  ),
  write: line(20, 2, `pwrite64(7<${wal}>, "\\20mid-1", 8192, 0) = 8192`),
  flush: line(20, 3, `fdatasync(7<${wal}>) = 0`),
  answer: line(10, 4, 'sendto(19<socket:[7]>, "HTTP/1.1 200 OK\\r\\n", 200, MSG_NOSIGNAL, NULL, 0) = 200'),
};
const check = (lines: readonly string[]) => checkDurability(parseCalls(lines.join("\n")), ["mid-1"], walFile);

describe("checkDurability()", () => {
  test("holds where the write, its flush and the 200 follow each other", () => {
    expect(check([steps.post, steps.write, steps.flush, steps.answer])).toEqual({ answers: 1, broken: [] });
  });

  test("breaks where the 200 comes before the flush has ended", () => {
    const begun = line(20, 3, `fdatasync(7<${wal}> <unfinished ...>`);
    const ended = line(20, 5, "<... fdatasync resumed>) = 0");
    const { broken } = check([steps.post, steps.write, begun, steps.answer, ended]);
    expect(broken).toEqual(["mid-1: the 200 (line 3) came before the flush had ended (line 4)"]);
  });

  test("breaks where the flush failed, was of another file, or came before the write", () => {
    const failed = line(20, 3, `fdatasync(7<${wal}>) = -1 EIO (Input/output error)`);
    const other = line(20, 3, "fdatasync(8</data/pg_wal/000000010000000000000002>) = 0");
    for (const lines of [
      [steps.post, steps.write, failed, steps.answer],
      [steps.post, steps.write, other, steps.answer],
      [steps.post, steps.flush, steps.write, steps.answer],
    ])
      expect(check(lines).broken).toEqual(["mid-1: its write was never flushed"]);
  });

  test("breaks where no write of the message or no 200 of it is in the log", () => {
    expect(check([steps.post, steps.flush, steps.answer]).broken).toEqual(["mid-1: no write of it is in the trace"]);
    expect(check([steps.post, steps.write, steps.flush]).broken).toEqual([
      "mid-1: its post or its 200 is not in the trace",
    ]);
  });
});
