/** The house's rules, enforced in milliseconds. Each failure says what to do. Rules change only with a reason in the commit. */
import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, normalize, relative } from "node:path";

const root = join(import.meta.dir, "..");
const linesMax = 250;

/** Floors, lowest first. A file imports its own folder or a lower floor: never beside, never above. */
const floors: readonly (readonly string[])[] = [
  ["src/lib"],
  ["src/domain"],
  [
    "src/webhook",
    "src/graph",
    "src/cache",
    "src/budget",
    "src/repository",
    "src/queue",
    "src/spool",
    "src/metrics",
    "src/sandbox",
  ],
  ["src/usecases"],
  ["src/config.ts", "src/http"],
  ["src/runtime.ts"],
  ["src/daemon"],
  ["src/cli"],
  ["src/main.ts"],
  ["bin"],
];
const roomsOf = floors.flat();

type File = { readonly path: string; readonly text: string; readonly code: string };

function listFiles(folder: string): string[] {
  return readdirSync(join(root, folder)).flatMap((name) => {
    const path = join(folder, name);
    return statSync(join(root, path)).isDirectory() ? listFiles(path) : [path];
  });
}

/** Without comments, so that a rule's own word in a sentence is no breach. */
const stripComments = (text: string) =>
  text.replaceAll(/\/\*[\s\S]*?\*\//g, "").replaceAll(/(^|[\s;{}(),])\/\/.*$/gm, "$1");

const files: File[] = ["src", "bin"]
  .flatMap(listFiles)
  .filter((path) => path.endsWith(".ts"))
  .map((path) => {
    const text = readFileSync(join(root, path), "utf8");
    return { path, text, code: stripComments(text) };
  });
const everything = [...files.map(({ path }) => path), ...listFiles("test").filter((path) => path.endsWith(".ts"))];

type Import = { readonly from: string; readonly to: string; readonly typeOnly: boolean };

function importsOf({ path, code }: File): Import[] {
  const pattern = /(?:^|\n)\s*(import|export)\s+(type\s)?[^;]*?from\s+"(\.[^"]+)"|import\("(\.[^"]+)"\)/g;
  return [...code.matchAll(pattern)].map((match) => ({
    from: path,
    to: normalize(join(dirname(path), match[3] ?? match[4] ?? "")),
    typeOnly: match[2] !== undefined,
  }));
}
const imports = files.flatMap(importsOf);

const roomOf = (path: string) => roomsOf.find((room) => path === room || path.startsWith(`${room}/`)) ?? null;
const floorOf = (path: string) => floors.findIndex((rooms) => rooms.includes(roomOf(path) ?? ""));

function report(breaches: readonly string[], remedy: string) {
  expect(breaches.map((breach) => `${breach}: ${remedy}`)).toEqual([]);
}

describe("floors", () => {
  test("every source file stands in a room of the map", () => {
    const known = (path: string) => roomOf(path) !== null || path === "src/assets.d.ts";
    report(
      files.map(({ path }) => path).filter((path) => !known(path)),
      "put it into a room, or draw the room into the map here and in the README",
    );
  });

  test("imports go to the own room or to a lower floor", () => {
    const breaches = imports.filter(({ from, to }) => {
      if (!to.startsWith("src/") || roomOf(from) === roomOf(to)) return false;
      return floorOf(to) >= floorOf(from);
    });
    report(
      breaches.map(({ from, to }) => `${from} imports ${to}`),
      "hand it in from the floor above instead",
    );
  });

  test("the sandbox knows nothing of ours but lib", () => {
    const breaches = imports.filter(
      ({ from, to }) => roomOf(from) === "src/sandbox" && !["src/sandbox", "src/lib"].includes(roomOf(to) ?? ""),
    );
    report(
      breaches.map(({ from, to }) => `${from} imports ${to}`),
      "write it a second time: two hands, so that one mistake cannot be made twice",
    );
  });

  test("use-cases know adapters by type only, and the pure functions of webhook/", () => {
    const adapters = floors[2] ?? [];
    const breaches = imports.filter(({ from, to, typeOnly }) => {
      const room = roomOf(to) ?? "";
      return roomOf(from) === "src/usecases" && adapters.includes(room) && room !== "src/webhook" && !typeOnly;
    });
    report(
      breaches.map(({ from, to }) => `${from} imports ${to}`),
      "import the type, and let the composition root hand the thing in",
    );
  });

  test("only the composition root opens adapters", () => {
    const opens = (path: string) => path === "src/runtime.ts" || roomOf(path) === "src/daemon";
    const adapters = (floors[2] ?? []).filter((room) => room !== "src/webhook");
    const breaches = imports.filter(({ from, to, typeOnly }) => {
      const room = roomOf(to) ?? "";
      if (!adapters.includes(room) || typeOnly || roomOf(from) === room || opens(from)) return false;
      return !(roomOf(from) === "src/cli" && room === "src/sandbox"); // the sandbox's own command
    });
    report(
      breaches.map(({ from, to }) => `${from} imports ${to}`),
      "take it from the runtime",
    );
  });
});

/** What stands in for it, and where it may stand all the same. */
const bans: readonly { pattern: RegExp; instead: string; except: readonly string[] }[] = [
  { pattern: /\bprocess\.env\b|\bBun\.env\b/, instead: "readConfig() is given the environment", except: ["bin/"] },
  {
    pattern: /\bprocess\.(exit|on|stdout|stderr|stdin|argv|kill)\b/,
    instead: "only bin sees the process: take it from Io",
    except: ["bin/"],
  },
  { pattern: /\bconsole\./, instead: "use the log that is handed in", except: [] },
  { pattern: /(:|<|\bas)\s*any\b/, instead: "say unknown, and parse it", except: [] },
  {
    pattern: /\bDate\.now\(|\bperformance\.now\(|\bnew Date\(\)/,
    instead: "use the Clock that is handed in",
    except: ["src/lib/clock.ts"],
  },
  { pattern: /\bMath\.random\(/, instead: "use the Clock's random()", except: ["src/lib/clock.ts"] },
  {
    pattern: /\bset(Timeout|Interval)\(|\bBun\.sleep/,
    instead: "use the Clock's after() or wait()",
    except: ["src/lib/clock.ts"],
  },
  { pattern: /\b(class)\s+(?!\w*Error\b)\w+/, instead: "write a function; a class is for an Error", except: [] },
  { pattern: /@ts-(ignore|expect-error|nocheck)/, instead: "mend the type", except: [] },
];

describe("bans", () => {
  test.each(bans.map((ban) => [ban.instead, ban] as const))("%s", (instead, { pattern, except }) => {
    const breaches = files.filter(({ path, code, text }) => {
      if (except.some((allowed) => path.startsWith(allowed)) || path.startsWith("src/http/dashboard/")) return false;
      return pattern.test(pattern.source.includes("@ts-") ? text : code);
    });
    report(
      breaches.map(({ path }) => path),
      instead,
    );
  });

  test("Meta's words stand in webhook, graph and sandbox alone", () => {
    const rooms = ["src/webhook", "src/graph", "src/sandbox"];
    const words = /\b(error_subcode|is_echo|fbtrace_id|hub_signature)\b|\.messaging\b|"messaging"/;
    const breaches = files.filter(({ path, code }) => !rooms.includes(roomOf(path) ?? "") && words.test(code));
    report(
      breaches.map(({ path }) => path),
      "translate it at the door",
    );
  });
});

describe("files", () => {
  test(`none is longer than ${linesMax} lines`, () => {
    const breaches = files.filter(({ text }) => text.split("\n").length - 1 > linesMax);
    report(
      breaches.map(({ path, text }) => `${path} has ${text.split("\n").length - 1} lines`),
      "two things live in it: part them",
    );
  });

  test("each is imported by another, or is the door", () => {
    const imported = new Set(imports.map(({ to }) => to));
    const doors = ["bin/social-sync.ts"];
    const breaches = files.filter(
      ({ path }) => !imported.has(path) && !doors.includes(path) && !path.endsWith(".d.ts"),
    );
    report(
      breaches.map(({ path }) => path),
      "use it or drop it",
    );
  });

  test("names are kebab-case and say what is inside", () => {
    const vague = /(^|\/)(utils?|helpers?|common|types|misc|manager|service|index)\.ts$/;
    const breaches = everything.filter((path) => vague.test(path) || !/^[a-z0-9./-]+$/.test(relative(".", path)));
    report(breaches, "name it for what it exports");
  });

  test("every query and migration is used", () => {
    const code = files.map((file) => file.code).join("\n");
    const breaches = listFiles("sql").filter((path) => !code.includes(path));
    report(breaches, "drop it, or import it");
  });
});
