import type { HttpDependencies } from "./http-dependencies.ts";

/**
 * One route as data: the app registers it, answers HEAD from GET, knows the methods of a path for a 405, and asks
 * for the key where `access` says so. A route cannot be written without deciding who may call it.
 */
export type Route = {
  readonly method: "GET" | "POST";
  /** Elysia's form: `/messaging/conversations/:id`. */
  readonly path: string;
  /** `open`: anyone who reaches the port. `key`: a bearer key, or the loopback where no keys are set. */
  readonly access: "open" | "key";
  readonly answer: (request: Request, params: RouteParams) => Response | Promise<Response>;
};

/** The path's parts, decoded; null where the escapes were malformed. */
export type RouteParams = Readonly<Record<string, string | null>>;

export type RoutesOf<Name extends keyof HttpDependencies> = (
  dependencies: Pick<HttpDependencies, Name>,
) => readonly Route[];
