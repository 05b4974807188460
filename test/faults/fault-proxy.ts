/**
 * A TCP proxy that misbehaves on demand, between the daemon and a server.
 *
 *   await using proxy = await openFaultProxy(postgres.port);      // proxy.port takes the place of the server's
 *   proxy.setMode({ kind: "latency", ms: 500 });                  // for connections that are there and for new ones
 *   proxy.setMode({ kind: "black_hole" }, "existing");            // or for one of the two
 *   proxy.setTap((direction, bytes, link) => …)                   // sees every chunk; answers what becomes of it
 *   proxy.resetAll(); proxy.links()
 *
 * Modes: `pass` · `latency` each chunk by `ms`, each way · `black_hole` takes bytes and answers nothing, no RST ·
 * `refuse` nobody listens (existing connections live on) · `reset` RST at once · `half_close` the server's side says FIN,
 * the client may still write · `cut` RST after `bytes` more bytes in a direction, so within a message.
 */
import { createServer, type Server, Socket } from "node:net";
import { findQuietPort } from "./quiet-port.ts";

export type ProxyDirection = "to_server" | "to_client";
export type ProxyMode =
  | { readonly kind: "pass" }
  | { readonly kind: "latency"; readonly ms: number }
  | { readonly kind: "black_hole" }
  | { readonly kind: "refuse" }
  | { readonly kind: "reset" }
  | { readonly kind: "half_close" }
  | { readonly kind: "cut"; readonly bytes: number; readonly direction: ProxyDirection };
/** What becomes of a chunk: `hold` keeps it, and everything after it in that direction, until `link.release()`. */
export type TapVerdict = "forward" | "drop" | "hold" | "reset";
export type ProxyTap = (direction: ProxyDirection, bytes: Buffer, link: ProxyLink) => TapVerdict;
export type ProxyLink = {
  readonly id: number;
  /** For the tap's own use, such as "the save has gone by". */
  readonly notes: Map<string, unknown>;
  reset: () => void;
  release: () => void;
};
export type FaultProxy = Awaited<ReturnType<typeof openFaultProxy>>;

const bufferedBytesMax = 1024 * 1024; // Beyond it the sending side is paused.

type Pipe = {
  readonly from: Socket;
  readonly to: Socket;
  held: Buffer[] | null;
  lastDueMs: number;
  budget: number | null;
};
type Link = ProxyLink & {
  readonly client: Socket;
  readonly server: Socket;
  mode: ProxyMode;
  readonly pipes: Record<ProxyDirection, Pipe>;
};

/** Listens on a port of 127.0.0.1 and forwards to `targetPort` of it. */
export async function openFaultProxy(targetPort: number) {
  const links = new Set<Link>();
  let mode: ProxyMode = { kind: "pass" };
  let tap: ProxyTap | null = null;
  let accepted = 0;
  let listener: Server | null = null;
  const port = await findQuietPort();

  const resetLink = (link: Link): void => {
    for (const socket of [link.client, link.server]) socket.resetAndDestroy();
    links.delete(link);
  };

  const write = (link: Link, direction: ProxyDirection, bytes: Buffer): void => {
    const { from, to } = link.pipes[direction];
    if (to.destroyed || !to.writable) return;
    to.write(bytes);
    if (to.writableLength > bufferedBytesMax) {
      from.pause();
      to.once("drain", () => from.resume());
    }
  };

  const deliver = (link: Link, direction: ProxyDirection, bytes: Buffer): void => {
    const pipe = link.pipes[direction];
    switch (link.mode.kind) {
      case "black_hole":
        return;
      case "reset":
        resetLink(link);
        return;
      case "latency": {
        // Never earlier than the chunk before, whatever the latency was then.
        pipe.lastDueMs = Math.max(pipe.lastDueMs, performance.now() + link.mode.ms);
        setTimeout(() => write(link, direction, bytes), pipe.lastDueMs - performance.now());
        return;
      }
      case "cut": {
        if (link.mode.direction !== direction) break;
        pipe.budget ??= link.mode.bytes;
        const part = bytes.subarray(0, pipe.budget);
        pipe.budget -= part.length;
        if (part.length > 0) write(link, direction, part);
        if (pipe.budget === 0) setTimeout(() => resetLink(link), 1); // Lets the part leave first.
        return;
      }
      default:
        break;
    }
    write(link, direction, bytes);
  };

  const onBytes = (link: Link, direction: ProxyDirection, bytes: Buffer): void => {
    const pipe = link.pipes[direction];
    if (pipe.held !== null) {
      pipe.held.push(bytes);
      return;
    }
    const verdict = tap === null ? "forward" : tap(direction, bytes, link);
    if (verdict === "hold") pipe.held = [bytes];
    if (verdict === "reset") resetLink(link);
    if (verdict === "forward") deliver(link, direction, bytes);
  };

  const accept = (client: Socket): void => {
    accepted += 1;
    const server = new Socket({ allowHalfOpen: true });
    const makePipe = (from: Socket, to: Socket): Pipe => ({ from, to, held: null, lastDueMs: 0, budget: null });
    const link: Link = {
      id: accepted,
      notes: new Map(),
      client,
      server,
      mode,
      pipes: { to_server: makePipe(client, server), to_client: makePipe(server, client) },
      reset: () => resetLink(link),
      release: () => {
        for (const direction of ["to_server", "to_client"] as const) {
          const { held } = link.pipes[direction];
          link.pipes[direction].held = null;
          for (const bytes of held ?? []) deliver(link, direction, bytes);
        }
      },
    };
    for (const socket of [client, server]) {
      socket.setNoDelay(true);
      socket.on("error", () => {});
    }
    if (mode.kind === "reset") {
      client.resetAndDestroy();
      return;
    }
    links.add(link);
    server.connect(targetPort, "127.0.0.1");
    server.on("error", () => resetLink(link)); // The server's own refusal reaches the client as one.
    client.on("data", (bytes: Buffer) => onBytes(link, "to_server", bytes));
    server.on("data", (bytes: Buffer) => onBytes(link, "to_client", bytes));
    const passEnd = (to: Socket) => () => {
      if (link.mode.kind !== "black_hole") to.end();
    };
    client.on("end", passEnd(server));
    server.on("end", passEnd(client));
    client.on("close", () => {
      links.delete(link);
      server.destroy();
    });
    server.on("close", () => {
      if (link.mode.kind === "black_hole") return; // Silence is the point.
      links.delete(link);
      setTimeout(() => client.destroy(), 50); // Lets the last bytes leave.
    });
    applyMode(link);
  };

  const applyMode = (link: Link): void => {
    if (link.mode.kind === "reset") resetLink(link);
    if (link.mode.kind === "half_close") link.client.end();
  };

  const listen = () =>
    new Promise<void>((resolve, reject) => {
      const opened = createServer({ allowHalfOpen: true }, accept);
      opened.once("error", reject);
      opened.listen(port, "127.0.0.1", () => resolve());
      listener = opened;
    });
  await listen();

  return {
    port,
    /** The same address, through here. */
    through: (address: string): string => {
      const url = new URL(address);
      url.port = String(port);
      return url.href.replace(/\/$/, "");
    },
    /** How many connections there are, and how many ever came. */
    links: () => links.size,
    accepted: () => accepted,
    mode: () => mode,
    setTap: (wanted: ProxyTap | null): void => {
      tap = wanted;
    },
    /** Switches the behaviour at once. A black hole's swallowed bytes do not come back: such links stay broken. */
    setMode: async (wanted: ProxyMode, which: "all" | "existing" | "new" = "all"): Promise<void> => {
      if (which !== "existing") {
        mode = wanted;
        if (wanted.kind === "refuse" && listener !== null) {
          listener.close();
          listener = null;
        }
        if (wanted.kind !== "refuse" && listener === null) await listen();
      }
      if (which === "new" || wanted.kind === "refuse") return;
      for (const link of links) {
        link.mode = wanted;
        for (const direction of ["to_server", "to_client"] as const) link.pipes[direction].budget = null;
        applyMode(link);
      }
    },
    /** Ends every connection with a RST; the mode stays. */
    resetAll: (): void => {
      for (const link of links) resetLink(link);
    },
    [Symbol.asyncDispose]: async (): Promise<void> => {
      listener?.close();
      listener = null;
      for (const link of links) resetLink(link);
    },
  };
}
