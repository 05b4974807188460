import Ajv2020, { type ValidateFunction } from "ajv/dist/2020";
import addFormats from "ajv-formats";
import { buildOpenApi } from "../../src/http/openapi/openapi.ts";
import type { OpenApiOperation, OpenApiReference, OpenApiResponse } from "../../src/http/openapi/openapi-document.ts";

/** What was seen of one answer. */
export type SeenAnswer = { status: number; headers: Headers; body: string };

const document = buildOpenApi("0.0.0-test");
const ajv = new Ajv2020({ strict: false, allErrors: true });
addFormats(ajv);
ajv.addSchema({ $id: "contract", ...document });
const validators = new Map<string, ValidateFunction>();

/**
 * Throws where an answer is not one that /openapi.json declares: its status, its content type, its body and its
 * headers. A path or a method that is not described must be answered as NotFound or MethodNotAllowed are.
 */
export function checkAnswer(method: string, path: string, answer: SeenAnswer): void {
  const fail = (why: string): never => {
    throw new Error(`${method} ${path} answered ${answer.status}, and ${why}: ${answer.body.slice(0, 300)}`);
  };
  const { pointer, response } = findResponse(method, path, answer.status) ?? fail("openapi.json does not declare it");

  for (const [name, header] of Object.entries(response.headers ?? {})) {
    const value = answer.headers.get(name);
    if (value === null && header.required) fail(`the header ${name} is missing`);
    if (value !== null && !ajv.validate(header.schema, value)) fail(`the header ${name} is ${value}`);
  }
  // Bun cuts a body over the cap before anything of ours runs: no body, no type, no headers of ours.
  if (answer.status === 413 && answer.body === "") return;
  if (answer.headers.get("x-content-type-options") !== "nosniff") fail("nosniff is missing");
  for (const name of ["server", "x-powered-by", "access-control-allow-origin", "set-cookie"])
    if (answer.headers.has(name)) fail(`it has a header ${name}`);

  const type = answer.headers.get("content-type") ?? "";
  if (response.content?.[type] === undefined) fail(`its content type ${type} is not declared`);
  if (method === "HEAD") {
    if (answer.body !== "") fail("a HEAD has no body");
    return;
  }
  const body = type.endsWith("json") ? JSON.parse(answer.body) : answer.body;
  const schema = `${pointer}/content/${escapePointer(type)}/schema`;
  const validate = validators.get(schema) ?? ajv.compile({ $ref: `contract#${encodeURI(schema)}` });
  validators.set(schema, validate);
  if (!validate(body)) fail(`its body is not as declared (${ajv.errorsText(validate.errors)})`);
  if (type === "application/problem+json" && body.status !== answer.status) fail("the problem names another status");
}

function findResponse(method: string, path: string, status: number) {
  const template = templateOf(path);
  const operations = template === null ? undefined : document.paths[template];
  const key = method === "HEAD" ? "get" : method.toLowerCase();
  const operation = (operations as Record<string, OpenApiOperation> | undefined)?.[key];
  if (operations === undefined || template === null) return status === 404 ? shared("NotFound") : null;
  if (operation === undefined) return status === 405 ? shared("MethodNotAllowed") : null;
  const declared: OpenApiResponse | OpenApiReference | undefined = operation.responses[String(status)];
  if (declared === undefined) return null;
  if ("$ref" in declared) return shared(String(declared.$ref).split("/").at(-1) ?? "");
  return { pointer: `/paths/${escapePointer(template)}/${key}/responses/${status}`, response: declared };
}

function shared(name: string): { pointer: string; response: OpenApiResponse } | null {
  const response = document.components.responses[name];
  return response === undefined ? null : { pointer: `/components/responses/${name}`, response };
}

export function templateOf(path: string): string | null {
  const bare = path.split("?")[0] ?? "";
  const templates = Object.keys(document.paths);
  return templates.find((one) => new RegExp(`^${one.replaceAll(/\{[a-z]+\}/g, "[^/]+")}$`).test(bare)) ?? null;
}

function escapePointer(text: string): string {
  return text.replaceAll("~", "~0").replaceAll("/", "~1");
}
