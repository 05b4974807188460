import { SyncError } from "../domain/error.ts";
import type { Clock } from "../lib/clock.ts";
import type { HttpApp } from "./http-app.ts";

/** A connection that neither sends nor takes a byte for so long is closed; a slow sender with it. Bun counts in steps of 4 s. */
export const idleSecondsMax = 10;
/** What requests in flight may still take once nothing new is taken. A delivery takes 3 s at most, so this is ample. */
export const lastRequestsMsMax = 5000;

/** From the stop on, requests are still taken for so long, each as the last of its connection. */
export const lastAnswersMs = 200;

export type HttpServerOptions = {
  readonly hostname: string;
  /** 0: a free one. */
  readonly port: number;
  readonly clock: Pick<Clock, "after">;
  readonly lastRequestsMs?: number;
};
export type HttpServer = ReturnType<typeof openHttpServer>;

/** Listens. Throws `config_invalid` where the address cannot be listened on. */
export function openHttpServer(app: HttpApp, options: HttpServerOptions) {
  const { hostname, port, clock, lastRequestsMs = lastRequestsMsMax } = options;
  let stopping = false;
  const handlers = {
    fetch: (request: Request, bun: Bun.Server<undefined>) => {
      const answer = app.fetch(request, (asked) => bun.requestIP(asked)?.address ?? null);
      return stopping ? closeAfter(answer) : answer;
    },
    error: (error: Error) => app.answerError(new Request("http://localhost/"), error),
  };
  const server = listen({ ...handlers, ...limitsOf(app), hostname, port });
  let stopped: Promise<void> | null = null;

  /** Takes no new connection or request, lets the ones in flight end, and cuts what is not done in time. Ends once; never throws. */
  const stopTaking = (): Promise<void> => {
    stopped ??= new Promise((resolve) => {
      const cancel = clock.after(lastRequestsMs, () => {
        server.stop(true);
        resolve();
      });
      // Bun closes a kept-alive connection at once, a request that it has not read yet included: so for a moment every
      // answer says that it is the connection's last, and what was sent before the stop is read and answered.
      stopping = true;
      refuseDeliveries(false); // what is refused now is its connection's last too
      clock.after(lastAnswersMs, () => {
        server.stop().finally(() => {
          cancel();
          resolve();
        });
      });
    });
    return stopped;
  };
  /**
   * Refuses every delivery unread, or none any more. Bun answers them by itself then, out of our sight: that costs half of
   * a refusal that is a function's, and a flood that is refused must not cost what could still be kept.
   */
  const refuseDeliveries = (refuse: boolean): void => {
    server.reload({ ...handlers, ...limitsOf(app), ...(refuse && !stopping ? { routes: app.refusals() } : {}) });
  };

  const boundPort = server.port ?? port;
  return {
    port: boundPort,
    url: `http://${nameToVisit(hostname)}:${boundPort}`,
    refuseDeliveries,
    stopTaking,
    [Symbol.asyncDispose]: stopTaking,
  };
}

const limitsOf = (app: HttpApp) => ({
  // Bun's development page shows sources.
  development: false,
  idleTimeout: idleSecondsMax,
  // Over it Bun answers a bare 413 by itself, before the body is read where its length is declared.
  maxRequestBodySize: app.webhookBodyMax,
});

type Listening = ReturnType<typeof limitsOf> & {
  readonly hostname: string;
  readonly port: number;
  readonly fetch: (request: Request, bun: Bun.Server<undefined>) => Response | Promise<Response>;
  readonly error: (error: Error) => Response;
};

function listen(options: Listening) {
  const { hostname, port } = options;
  try {
    return Bun.serve(options);
  } catch (cause) {
    const inUse = cause instanceof Error && "code" in cause && cause.code === "EADDRINUSE";
    const why = inUse ? "another program listens there" : "the address cannot be used on this machine";
    throw new SyncError("config_invalid", `Cannot listen on ${hostname} port ${port}: ${why}`, { cause });
  }
}

/** The same answer, as the last of its connection. */
async function closeAfter(answer: Response | Promise<Response>): Promise<Response> {
  const response = await answer;
  response.headers.set("Connection", "close");
  return response;
}

/** The name to open in a browser: an address that means "all of them" is none. */
function nameToVisit(hostname: string): string {
  if (hostname === "0.0.0.0" || hostname === "::") return "localhost";
  return hostname.includes(":") ? `[${hostname}]` : hostname;
}
