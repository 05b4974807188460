import { buildOpenApi } from "../http/openapi/openapi.ts";
import { defineCliCommand } from "./command.ts";
import { exitCodes } from "./io.ts";

/** `social-sync openapi` */
export const openapiCommand = defineCliCommand({
  name: "openapi",
  summary: "print the API's description (OpenAPI 3.1)",
  args: {},
  examples: ["social-sync openapi > openapi.json"],
  onStop: "leave",
  async run(_, io) {
    io.stdout.write(`${JSON.stringify(buildOpenApi(io.version), null, 2)}\n`);
    return exitCodes.done;
  },
});
