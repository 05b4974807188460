/** Cuts a request's address as text: `new URL()` costs more than the rest of a short answer and throws on a hostile Host. */

/** The address from its path on: `http://host/a?b` → `/a?b`. */
export function targetOf(url: string): string {
  const start = url.indexOf("/", url.indexOf("://") + 3);
  return start === -1 ? "/" : url.slice(start);
}

/** `http://host/a?b` → `/a`. */
export function pathOf(url: string): string {
  const target = targetOf(url);
  const query = target.indexOf("?");
  return query === -1 ? target : target.slice(0, query);
}

/** `http://host/a?b=c` → `b=c`, read. */
export function queryOf(url: string): URLSearchParams {
  const start = url.indexOf("?");
  return new URLSearchParams(start === -1 ? "" : url.slice(start + 1));
}
