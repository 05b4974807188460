/**
 * The levers of the box under `/sandbox/`, for end-to-end tests and curious people: the world with its tokens, the
 * call log, deliveries, the rate and troubles. They answer on loopback only, whatever address the box listens on.
 */
import type { SandboxCalls } from "./call-log.ts";
import { checkDeliverOptions, type DeliverOptions, type DeliverReport } from "./delivery.ts";
import { isThreadTwist, type ThreadTwist } from "./inbox-twist.ts";
import { drawFace } from "./picture.ts";
import type { Platform } from "./platform.ts";
import { isSandboxTrouble, type SandboxTrouble } from "./trouble.ts";
import { isSandboxEventKind } from "./webhook-item.ts";

const loopback = /^(?:127\.\d{1,3}\.\d{1,3}\.\d{1,3}|::1|::ffff:127\.\d{1,3}\.\d{1,3}\.\d{1,3})$/;

export type ControlDependencies = {
  platform: Platform;
  calls: SandboxCalls;
  deliver: (options: DeliverOptions) => Promise<DeliverReport>;
  setRate: (ratePerWindow: number | null) => void;
};

/** Whether a request came from this machine. */
export function isLoopback(address: string | null): boolean {
  return address !== null && loopback.test(address);
}

/** Answers a control route. */
export async function answerControl(
  dependencies: ControlDependencies,
  request: Request,
  path: string,
): Promise<Response> {
  const { platform, calls } = dependencies;
  switch (`${request.method} ${path}`) {
    case "GET /sandbox/world":
      return Response.json(platform.world);
    case "GET /sandbox/account.svg":
      return new Response(drawFace("0"), { headers: { "Content-Type": "image/svg+xml" } });
    case "GET /sandbox/calls":
      return Response.json({ counts: calls.counts(), calls: calls.list() });
    case "POST /sandbox/calls/reset":
      calls.reset();
      return Response.json({ ok: true });
    case "POST /sandbox/deliver":
      return answerDeliver(dependencies, await readObject(request));
    case "POST /sandbox/rate":
      return answerRate(dependencies, await readObject(request));
    case "POST /sandbox/trouble":
      return answerTrouble(dependencies, await readObject(request));
    case "POST /sandbox/inbox":
      return answerInbox(dependencies, await readObject(request));
    default:
      return refuse(404, "The sandbox has no such route");
  }
}

function refuse(status: number, error: string): Response {
  return Response.json({ error }, { status });
}

type JsonObject = Readonly<Record<string, unknown>>;

async function readObject(request: Request): Promise<JsonObject | null> {
  try {
    const body: unknown = await request.json();
    return typeof body === "object" && body !== null && !Array.isArray(body) ? { ...body } : null;
  } catch {
    return null;
  }
}

async function answerDeliver({ platform, deliver }: ControlDependencies, body: JsonObject | null): Promise<Response> {
  const options = body && readDeliverOptions(body);
  if (options === null) return refuse(400, "The body must be a JSON object of deliver options with a count");
  const problem = checkDeliverOptions(options, platform.accounts.length);
  if (problem !== null) return refuse(400, problem);
  try {
    return Response.json(await deliver(options));
  } catch (error) {
    return refuse(409, error instanceof Error ? error.message : "Cannot deliver webhooks");
  }
}

const numbers = ["count", "accountIndex", "batchSize", "duplicateShare", "echoShare", "concurrency"] as const;

/** `null`: a member of the wrong type, or one that is not known. */
function readDeliverOptions(body: JsonObject): DeliverOptions | null {
  const options: DeliverOptions = { count: Number.NaN };
  for (const [name, value] of Object.entries(body)) {
    const number = numbers.find((known) => known === name);
    if (number !== undefined && typeof value === "number") options[number] = value;
    else if (name === "reorder" && typeof value === "boolean") options.reorder = value;
    else if (name === "kinds" && value === "mixed") options.kinds = value;
    else if (name === "kinds" && Array.isArray(value) && value.every(isSandboxEventKind)) options.kinds = value;
    else if (name === "personIds" && Array.isArray(value) && value.every(isText)) options.personIds = value;
    else return null;
  }
  return options;
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}

function answerRate({ setRate }: ControlDependencies, body: JsonObject | null): Response {
  const rate = body?.ratePerWindow;
  if (rate !== null && !(typeof rate === "number" && Number.isInteger(rate) && rate >= 0)) {
    return refuse(400, "ratePerWindow must be a whole number, or null for no limit");
  }
  setRate(rate);
  return Response.json({ ratePerWindow: rate });
}

/** Of a person (`personId`) or of a whole account (`accountIndex`). */
function answerTrouble({ platform }: ControlDependencies, body: JsonObject | null): Response {
  const trouble = body?.trouble;
  const personId = body?.personId;
  const accountIndex = body?.accountIndex;
  if (trouble !== null && !isSandboxTrouble(trouble))
    return refuse(400, "trouble must name a trouble of the table, or be null");
  const chosen: SandboxTrouble | null = trouble;
  if (typeof personId === "string") {
    platform.setTrouble(personId, chosen);
    return Response.json({ personId, trouble: chosen });
  }
  const state = typeof accountIndex === "number" ? platform.accounts[accountIndex] : undefined;
  if (state === undefined) return refuse(400, "personId or accountIndex must say whose trouble it is");
  state.trouble = chosen;
  return Response.json({ accountIndex, trouble: chosen });
}

/** A thread's twist (`personId`, `twist`), the longest page (`listPageMax`), or the end of all cursors (`expireCursors`). */
function answerInbox({ platform }: ControlDependencies, body: JsonObject | null): Response {
  const { personId, twist, listPageMax, expireCursors } = body ?? {};
  if (typeof personId === "string") {
    if (twist !== null && !isThreadTwist(twist)) return refuse(400, "twist must name a twist of the inbox, or be null");
    const chosen: ThreadTwist | null = twist;
    platform.setTwist(personId, chosen);
    return Response.json({ personId, twist: chosen });
  }
  if (expireCursors === true) {
    platform.cursorGeneration += 1;
    return Response.json({ expireCursors });
  }
  if (listPageMax !== null && !(typeof listPageMax === "number" && Number.isInteger(listPageMax) && listPageMax > 0))
    return refuse(400, "The body must name a personId with its twist, a listPageMax, or expireCursors");
  platform.listPageMax = listPageMax;
  return Response.json({ listPageMax });
}
