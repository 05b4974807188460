import { connect, type Socket } from "node:net";

/** Sends `pieces` as they are, `gapMs` apart, and answers what came back until the other end closed or `forMs` passed. */
export function sendRaw(
  port: number,
  pieces: Iterable<string>,
  { gapMs = 0, forMs = 1500 }: { gapMs?: number; forMs?: number } = {},
): Promise<{ text: string; closed: boolean; afterMs: number }> {
  const startMs = performance.now();
  return new Promise((resolve) => {
    let text = "";
    let over = false;
    const socket = connect(port, "127.0.0.1");
    const end = (closed: boolean) => {
      if (over) return;
      over = true;
      clearTimeout(timer);
      socket.destroy();
      resolve({ text, closed, afterMs: performance.now() - startMs });
    };
    const timer = setTimeout(() => end(false), forMs);
    socket.on("data", (bytes) => {
      text += bytes;
    });
    socket.on("error", () => end(true));
    socket.on("close", () => end(true));
    socket.on("connect", async () => {
      for (const piece of pieces) {
        if (over) return;
        socket.write(piece);
        if (gapMs > 0) await Bun.sleep(gapMs);
      }
    });
  });
}

/** Connects `count` times and sends nothing. Disposing of it hangs up. */
export async function openIdleConnections(port: number, count: number) {
  let open = 0;
  const sockets = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise<Socket>((resolve, reject) => {
          const socket = connect(port, "127.0.0.1", () => {
            open += 1;
            resolve(socket);
          });
          socket.on("error", reject);
          socket.on("close", () => {
            open -= 1;
          });
        }),
    ),
  );
  return {
    /** How many are open now. */
    open: () => open,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
    },
  };
}
