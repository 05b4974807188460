import { defineCliCommand } from "./command.ts";
import { exitCodes } from "./io.ts";

/** `social-sync version` */
export const versionCommand = defineCliCommand({
  name: "version",
  summary: "print the version",
  args: {},
  examples: ["social-sync version"],
  onStop: "leave",
  async run(_, io) {
    io.stdout.write(`social-sync ${io.version}\n`);
    return exitCodes.done;
  },
});
