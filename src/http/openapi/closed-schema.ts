import type { JsonSchema } from "./openapi-document.ts";

/** An object of which every key is there and no other: what is described is exactly what is sent. */
export function closed(description: string, properties: Readonly<Record<string, JsonSchema>>): JsonSchema {
  return { type: "object", description, properties, required: Object.keys(properties), additionalProperties: false };
}

export const time = { type: "string", format: "date-time" };
export const timeOrNull = { type: ["string", "null"], format: "date-time" };
export const textOrNull = { type: ["string", "null"] };
export const wholeNumber = { type: "integer", minimum: 0 };
