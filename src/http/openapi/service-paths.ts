import { metricsContentType } from "../metrics-routes.ts";
import type { OpenApiParameter, OpenApiPaths } from "./openapi-document.ts";
import { answered, answerOf } from "./responses.ts";
import { refTo } from "./schemas.ts";

const text = "text/plain;charset=utf-8";
const html = "text/html;charset=utf-8";
const internal = { "500": answerOf("Internal") };

function handshake(name: string, description: string): OpenApiParameter {
  return { name: `hub.${name}`, in: "query", description, required: true, schema: { type: "string" } };
}

export const servicePaths: OpenApiPaths = {
  "/webhooks/instagram": {
    get: {
      operationId: "answerHandshake",
      summary: "Prove to Instagram that the webhook is ours",
      tags: ["webhook"],
      parameters: [
        handshake("mode", "`subscribe`."),
        handshake("verify_token", "The token that was typed into Meta's dashboard."),
        handshake("challenge", "What is sent back."),
      ],
      responses: { "200": answered("The challenge.", text), "403": answerOf("Forbidden"), ...internal },
    },
    post: {
      operationId: "receiveDelivery",
      summary: "Take a delivery of Instagram's",
      description: "Answers 200 once the delivery is stored for good. A 503 makes Instagram send it again.",
      tags: ["webhook"],
      parameters: [
        {
          name: "X-Hub-Signature-256",
          in: "header",
          description: "`sha256=` and the HMAC-SHA256 of the body's bytes under the app secret, in hexadecimal.",
          required: true,
          schema: { type: "string" },
        },
      ],
      requestBody: { required: true, content: { "application/json": { schema: {} } } },
      responses: {
        "200": answered("Stored.", text, { type: "string", const: "ok" }),
        "400": answerOf("BadRequest"),
        "401": answerOf("Unsigned"),
        "408": answerOf("TooSlow"),
        "413": answerOf("TooLarge"),
        "503": answerOf("Unavailable"),
      },
    },
  },
  "/health/live": {
    get: {
      operationId: "live",
      summary: "Whether the process answers",
      tags: ["service"],
      responses: { "200": answered("It does.", "application/json", refTo("Live")) },
    },
  },
  "/health/ready": {
    get: {
      operationId: "ready",
      summary: "Whether the daemon can do its work",
      tags: ["service"],
      responses: {
        "200": answered("It can.", "application/json", refTo("Ready")),
        "503": {
          description: "It cannot: the checks say why.",
          content: {
            "application/json": { schema: refTo("Ready") },
            "application/problem+json": { schema: refTo("Problem") },
          },
        },
        ...internal,
      },
    },
  },
  "/metrics": {
    get: {
      operationId: "metrics",
      summary: "The daemon's figures, for Prometheus",
      description: "The labels are closed words, never ids: the number of time series is fixed.",
      tags: ["service"],
      security: [{ bearer: [] }, {}],
      responses: {
        "200": answered("Prometheus' text format.", metricsContentType, { type: "string", pattern: "^# HELP " }),
        "401": answerOf("Unauthorized"),
        "403": answerOf("Forbidden"),
        "503": answerOf("Unavailable"),
        ...internal,
      },
    },
  },
  "/": {
    get: {
      operationId: "dashboard",
      summary: "The live list of conversations, for people",
      tags: ["service"],
      responses: { "200": answered("A page.", html) },
    },
  },
  "/docs": {
    get: {
      operationId: "docs",
      summary: "This description, for people",
      tags: ["service"],
      responses: { "200": answered("A page.", html) },
    },
  },
  "/assets/{file}": {
    get: {
      operationId: "asset",
      summary: "A style or script of the two pages",
      tags: ["service"],
      parameters: [
        { name: "file", in: "path", description: "The file's name.", required: true, schema: { type: "string" } },
      ],
      responses: {
        "200": {
          description: "The file.",
          content: { "text/css;charset=utf-8": { schema: {} }, "text/javascript;charset=utf-8": { schema: {} } },
        },
        "404": answerOf("NotFound"),
      },
    },
  },
  "/openapi.json": {
    get: {
      operationId: "openapi",
      summary: "This description",
      tags: ["service"],
      responses: { "200": answered("An OpenAPI 3.1 document.", "application/json", { type: "object" }), ...internal },
    },
  },
};
