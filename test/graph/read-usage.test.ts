import { describe, expect, test } from "bun:test";
import { readUsage, regainMaxMs } from "../../src/graph/read-usage.ts";

const nowMs = Date.parse("2026-11-22T12:00:00Z");
const business = "x-business-use-case-usage";

const rows: readonly (readonly [string, Record<string, string>, number | null, number | null])[] = [
  ["no header", {}, null, null],
  ["the classic keys", { "X-App-Usage": '{"call_count":28,"total_time":25,"total_cputime":31}' }, 31, null],
  ["graph.instagram.com's keys", { "x-app-usage": '{"call_volume":7,"cpu_time":9}' }, 9, null],
  ["the Page's header", { "x-page-usage": '{"call_count":41}' }, 41, null],
  ["zero as zero", { "x-app-usage": '{"call_volume":0,"cpu_time":0}' }, 0, null],
  [
    "several ids and types, in minutes",
    {
      [business]: JSON.stringify({
        "1": [
          { type: "instagram", call_count: 10, estimated_time_to_regain_access: 0 },
          { type: "pages", total_time: 130, estimated_time_to_regain_access: 17 },
        ],
        "2": [{ type: "messenger", total_cputime: 99 }],
      }),
    },
    130,
    17 * 60_000,
  ],
  ["0 minutes as unknown", { [business]: '{"1":[{"call_count":97,"estimated_time_to_regain_access":0}]}' }, 97, null],
  ["an object for a list", { [business]: '{"1":{"call_count":"17%"}}' }, 17, null],
  ["nulls beside a figure", { [business]: '{"1":null,"2":[null,7,{"call_count":null,"total_time":5}]}' }, 5, null],
  ["nothing in noise", { "x-app-usage": "oops", [business]: "[1,[2]]", "x-page-usage": '"x"' }, null, null],
  [
    "no negative or absurd figure",
    { "x-app-usage": '{"call_count":-3,"total_time":"x","cpu_time":1e999}' },
    null,
    null,
  ],
  ["Retry-After in seconds", { "retry-after": "90" }, 0, 90_000],
  ["Retry-After as a date", { "retry-after": "Sun, 22 Nov 2026 12:02:00 GMT" }, 0, 120_000],
  ["a Retry-After that is over as nothing", { "retry-after": "Sun, 22 Nov 2026 11:00:00 GMT" }, null, null],
  ["a Retry-After of noise as nothing", { "retry-after": "soon" }, null, null],
  ["a pause of years as a day", { [business]: '{"1":[{"estimated_time_to_regain_access":99999999}]}' }, 0, regainMaxMs],
  ["the worst of all", { "x-app-usage": '{"call_count":90}', [business]: '{"1":[{"call_count":3}]}' }, 90, null],
];

describe("readUsage()", () => {
  for (const [what, headers, percent, regainMs] of rows) {
    test(`reads ${what}`, () => {
      expect(readUsage(new Headers(headers), nowMs)).toEqual(percent === null ? null : { percent, regainMs });
    });
  }
});
