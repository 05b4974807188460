import { conversationPaths } from "./conversation-paths.ts";
import type { OpenApiDocument } from "./openapi-document.ts";
import { responses } from "./responses.ts";
import { schemas } from "./schemas.ts";
import { servicePaths } from "./service-paths.ts";

/** The API's description, written by hand: the tests hold every answer of the server against it. */
export function buildOpenApi(version: string): OpenApiDocument {
  return {
    openapi: "3.1.0",
    info: {
      title: "social-sync",
      version,
      summary: "Instagram conversations with the names and faces of the people in them",
      description:
        "Times are ISO 8601 in UTC. Ids are text. Lists are pages: hand `nextCursor` back as `cursor` until it is null. Errors are RFC 9457 problems. HEAD is answered wherever GET is.",
      license: { name: "MIT", identifier: "MIT" },
    },
    servers: [{ url: "/" }],
    tags: [
      { name: "conversations", description: "Who is talking, what was said, and how the accounts stand." },
      { name: "webhook", description: "What Instagram calls." },
      { name: "service", description: "Health, pages and this description." },
    ],
    paths: { ...conversationPaths, ...servicePaths },
    components: {
      schemas,
      responses,
      securitySchemes: {
        bearer: {
          type: "http",
          scheme: "bearer",
          description: "One of the server's API keys. Where none are set, only the server's own machine is answered.",
        },
      },
    },
  };
}
