/** A real terminal of a chosen size: a tmux server of our own, alone on its socket. */
import { randomUUID } from "node:crypto";
import { canInstallDebianPackages, installDebianPackages } from "../support/debian-packages.ts";

const pollMs = 40;

export type TmuxTerminal = Awaited<ReturnType<typeof openTmuxTerminal>>;

/** tmux is the terminal: it is installed where it is missing, or the tests fail and say so. */
export function demandTmux(): void {
  if (Bun.which("tmux") !== null) return;
  if (!canInstallDebianPackages())
    throw new Error("Cannot test on a terminal: tmux is missing and cannot be installed here.");
  installDebianPackages(["tmux"]);
}

/** Opens a terminal with a plain shell in it. */
export async function openTmuxTerminal(options: { columns: number; rows: number; env: Record<string, string> }) {
  const socket = `social-sync-${randomUUID().slice(0, 8)}`;
  const tmux = async (...args: string[]) => {
    const child = Bun.spawn(["tmux", "-u", "-L", socket, "-f", "/dev/null", ...args], {
      env: { PATH: process.env.PATH ?? "", HOME: process.env.HOME ?? "", LANG: "C.UTF-8" },
      stdout: "pipe",
      stderr: "pipe",
    });
    const text = await child.stdout.text();
    if ((await child.exited) !== 0) throw new Error(`tmux ${args[0]}: ${await child.stderr.text()}`);
    return text;
  };
  const set = Object.entries({ LANG: "C.UTF-8", PS1: "$ ", ...options.env }).flatMap(([name, value]) => [
    "-e",
    `${name}=${value}`,
  ]);
  const size = ["-x", String(options.columns), "-y", String(options.rows)];
  await tmux("new-session", "-d", "-s", "t", ...size, ...set, "sh");

  const read = () => tmux("capture-pane", "-p", "-t", "t");
  /** Waits until the screen shows `pattern`. Throws with the screen where it never does. */
  const until = async (pattern: RegExp, timeoutMs = 15_000): Promise<string> => {
    const end = performance.now() + timeoutMs;
    for (;;) {
      const screen = await read();
      if (pattern.test(screen)) return screen;
      if (performance.now() > end) throw new Error(`The terminal never showed ${pattern}:\n${screen}`);
      await Bun.sleep(pollMs);
    }
  };
  // What is typed before the shell asks for it stands above its prompt, and the program then starts behind the prompt.
  await until(/^[$#] ?$/m);
  return {
    /** Types a line and Enter. */
    type: (line: string) => tmux("send-keys", "-t", "t", "-l", line).then(() => tmux("send-keys", "-t", "t", "Enter")),
    /** Presses one key: `C-c`. */
    press: (key: string) => tmux("send-keys", "-t", "t", key),
    resize: (columns: number) => tmux("resize-window", "-t", "t", "-x", String(columns), "-y", String(options.rows)),
    /** What stands on the screen now. */
    read,
    /** With what has scrolled out of it. */
    readAll: () => tmux("capture-pane", "-p", "-S", "-", "-t", "t"),
    /** The process that the shell runs now. */
    childPid: async () => {
      const shell = (await tmux("display-message", "-p", "-t", "t", "#{pane_pid}")).trim();
      const children = await Bun.file(`/proc/${shell}/task/${shell}/children`).text();
      return Number(children.trim().split(" ")[0]);
    },
    /** Copies every byte that is written to the terminal from now on into a file. */
    record: (path: string) => tmux("pipe-pane", "-t", "t", `cat > '${path}'`),
    cursorShown: async () => (await tmux("display-message", "-p", "-t", "t", "#{cursor_flag}")).trim() === "1",
    until,
    [Symbol.asyncDispose]: async () => {
      await tmux("kill-server").catch(() => "");
    },
  };
}
