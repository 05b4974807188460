import { jsonAnswer } from "./answer.ts";
import type { RoutesOf } from "./route.ts";

/** `live`: the process answers. `ready`: it can do its work, and if not, why. */
export const healthRoutes: RoutesOf<"health" | "version"> = (dependencies) => [
  {
    method: "GET",
    path: "/health/live",
    access: "open",
    answer: () => jsonAnswer(200, { status: "ok", version: dependencies.version }),
  },
  {
    method: "GET",
    path: "/health/ready",
    access: "open",
    answer: async () => {
      const { ready, checks } = await dependencies.health();
      const shown = checks.map(({ name, state, detail, values }) => ({
        ...{ name, state, detail },
        ...(values === undefined ? {} : { values }),
      }));
      return jsonAnswer(ready ? 200 : 503, { ready, checks: shown });
    },
  },
];
