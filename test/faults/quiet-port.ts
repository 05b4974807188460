/** Ports that stay ours over many restarts: below the range from which the system gives ports to outgoing connections. */
import { createServer } from "node:net";

// Linux gives out 32768…60999 and others 49152…: a port down here is never taken by a client while its server is down.
const portMin = 20_000;
const portMax = 32_000;
const triesMax = 200;
const given = new Set<number>();

/** A port of 127.0.0.1 that nobody listens on, and that this process has not given out before. */
export async function findQuietPort(): Promise<number> {
  for (let tries = 0; tries < triesMax; tries += 1) {
    const port = portMin + Math.floor(Math.random() * (portMax - portMin));
    if (given.has(port) || !(await isFree(port))) continue;
    given.add(port);
    return port;
  }
  throw new Error(`Cannot find a free port of 127.0.0.1 from ${portMin} to ${portMax}: all that were tried are taken.`);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
