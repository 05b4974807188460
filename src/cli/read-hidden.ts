import { SyncError } from "../domain/error.ts";

/** The keyboard of a terminal; `bin` wraps the real one. */
export type Keyboard = {
  /** Raw: keys come one by one and are not shown. */
  readonly setRaw: (raw: boolean) => void;
  /** Calls `listener` with what is typed; the returned function ends that. */
  readonly onKeys: (listener: (keys: string) => void) => () => void;
};

/** Longest answer that is taken: a token has some 200 characters, and a key that sticks must end. */
const answerLengthMax = 4_096;

/** Asks for a line that is not shown while it is typed. Throws `interrupted` on Ctrl-C or Ctrl-D. */
export function readHidden(keyboard: Keyboard, write: (text: string) => void, prompt: string): Promise<string> {
  write(prompt);
  keyboard.setRaw(true);
  return new Promise((resolve, reject) => {
    let answer = "";
    const end = keyboard.onKeys((keys) => {
      if (keys.startsWith("\u001b")) return; // an arrow or function key
      for (const key of keys) {
        if (key === "\r" || key === "\n") return finish(() => resolve(answer));
        if (key === "\u0003" || key === "\u0004")
          return finish(() => reject(new SyncError("interrupted", "Cannot go on: interrupted")));
        if (key === "\u007f" || key === "\b") answer = answer.slice(0, -1);
        else if (key === "\u0015") answer = "";
        else if (answer.length < answerLengthMax) answer += key;
      }
    });
    const finish = (settle: () => void) => {
      end();
      keyboard.setRaw(false);
      write("\n");
      settle();
    };
  });
}
