/** Builds the answers that carry data. Every answer of the server is made here or in `problem.ts`, with the same base headers. */

/** No browser may guess a type other than ours, and what is about people stays out of every store on the way. */
export const baseHeaders = { "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store" } as const;

export function jsonAnswer(status: number, value: unknown): Response {
  return new Response(JSON.stringify(value), {
    status,
    headers: { ...baseHeaders, "Content-Type": "application/json" },
  });
}

/** A page, a style or a script; `body` is text or a file that is sent without being read into memory. */
export function assetAnswer(body: string | Blob, contentType: string, policy: string | null = null): Response {
  const headers: Record<string, string> = {
    ...baseHeaders,
    "Content-Type": contentType,
    // Asked for again at each visit, so that page and script are always of one version.
    "Cache-Control": "no-cache",
    "Referrer-Policy": "no-referrer",
  };
  if (policy !== null) headers["Content-Security-Policy"] = policy;
  return new Response(body, { headers });
}
