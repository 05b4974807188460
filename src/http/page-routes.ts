import swaggerStyle from "swagger-ui-dist/swagger-ui.css" with { type: "file" };
import swaggerScript from "swagger-ui-dist/swagger-ui-bundle.js" with { type: "file" };
import { assetAnswer, jsonAnswer } from "./answer.ts";
import avatarScript from "./dashboard/avatar.client.js" with { type: "text" };
import dashboardScript from "./dashboard/dashboard.client.js" with { type: "text" };
import dashboardStyle from "./dashboard/dashboard.css" with { type: "text" };
import dashboardPage from "./dashboard/dashboard.htm" with { type: "text" };
import listScript from "./dashboard/list.client.js" with { type: "text" };
import messagesScript from "./dashboard/messages.client.js" with { type: "text" };
import panesStyle from "./dashboard/panes.css" with { type: "text" };
import wordsScript from "./dashboard/words.client.js" with { type: "text" };
import docsScript from "./docs/docs.client.js" with { type: "text" };
import docsStyle from "./docs/docs.css" with { type: "text" };
import docsPage from "./docs/docs.htm" with { type: "text" };
import { problemAnswer } from "./problem.ts";
import type { RoutesOf } from "./route.ts";

/** Nothing but what this server sends itself may run or load; nobody may frame it. */
const policyBase =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/** Profile pictures lie on Instagram's hosts (in the sandbox on ours): pictures may come from anywhere, and nothing else. */
const dashboardPolicy = `${policyBase}; img-src 'self' data: https: http:`;
/** swagger-ui draws its icons from data: addresses. */
const docsPolicy = `${policyBase}; img-src 'self' data:`;

const html = "text/html;charset=utf-8";
const css = "text/css;charset=utf-8";
const js = "text/javascript;charset=utf-8";

/** swagger-ui's two files (2 MB) are sent from disk, or from the binary's own image, without being read into memory. */
const assets: ReadonlyMap<string, () => Response> = new Map([
  ["dashboard.css", () => assetAnswer(dashboardStyle, css)],
  ["panes.css", () => assetAnswer(panesStyle, css)],
  ["dashboard.js", () => assetAnswer(dashboardScript, js)],
  ["avatar.js", () => assetAnswer(avatarScript, js)],
  ["list.js", () => assetAnswer(listScript, js)],
  ["messages.js", () => assetAnswer(messagesScript, js)],
  ["words.js", () => assetAnswer(wordsScript, js)],
  ["docs.css", () => assetAnswer(docsStyle, css)],
  ["docs.js", () => assetAnswer(docsScript, js)],
  ["swagger-ui.css", () => assetAnswer(Bun.file(swaggerStyle), css)],
  ["swagger-ui.js", () => assetAnswer(Bun.file(swaggerScript), js)],
]);

/** The dashboard, the page to browse the API, what they load, and the API's description. Data they get from the API alone. */
export const pageRoutes: RoutesOf<"version"> = ({ version }) => [
  { method: "GET", path: "/", access: "open", answer: () => assetAnswer(dashboardPage, html, dashboardPolicy) },
  { method: "GET", path: "/docs", access: "open", answer: () => assetAnswer(docsPage, html, docsPolicy) },
  {
    method: "GET",
    path: "/assets/:file",
    access: "open",
    answer: (_request, { file }) => assets.get(file ?? "")?.() ?? problemAnswer("not_found"),
  },
  {
    method: "GET",
    path: "/openapi.json",
    access: "open",
    answer: async () => {
      // Loaded when first asked for: most daemons are never asked.
      const { buildOpenApi } = await import("./openapi/openapi.ts");
      return jsonAnswer(200, buildOpenApi(version));
    },
  },
];
