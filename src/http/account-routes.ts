import { buildAccountJson } from "./account-json.ts";
import { jsonAnswer } from "./answer.ts";
import { parseQuery } from "./query.ts";
import type { RoutesOf } from "./route.ts";

/** Every account and how it stands. An operator adds a handful, so there are no pages. */
export const accountRoutes =
  (nowMs: () => number): RoutesOf<"checkAccounts"> =>
  (dependencies) => [
    {
      method: "GET",
      path: "/accounts",
      access: "key",
      answer: async (request) => {
        parseQuery(request.url, []);
        const accounts = await dependencies.checkAccounts();
        return jsonAnswer(200, { data: accounts.map((health) => buildAccountJson(health, nowMs())) });
      },
    },
  ];
