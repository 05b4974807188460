/**
 * A tap for a fault proxy before Postgres: makes the server meet the name of a prepared statement that it does not know,
 * as a pooler does that has changed the connection behind it.
 */
import type { ProxyTap } from "./fault-proxy.ts";

const bind = "B".charCodeAt(0);
const lengthBytes = 5; // The kind and the length before the names.
const otherName = "~".charCodeAt(0); // No client's statement begins with it.

export function createFlip() {
  let armed = false;
  let count = 0;
  const tap: ProxyTap = (direction, bytes) => {
    // Bind: kind, length, portal's name, 0, statement's name, 0, …: only where a named one is bound to no portal.
    const isBind =
      direction === "to_server" && bytes[0] === bind && bytes[lengthBytes] === 0 && bytes[lengthBytes + 1] !== 0;
    if (armed && isBind) {
      bytes[lengthBytes + 1] = otherName;
      armed = false;
      count += 1;
    }
    return "forward";
  };
  return {
    tap,
    /** The next statement that goes by is one that the server does not know. */
    arm: (): void => {
      armed = true;
    },
    /** How many were. */
    count: () => count,
  };
}
