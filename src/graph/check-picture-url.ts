/** Hosts that Meta serves pictures from (meta-platform.md §9): the host itself or anything below it. */
export const pictureHosts = ["cdninstagram.com", "fbcdn.net", "fbsbx.com"] as const;
/** Longest address that is kept, in characters. Meta's run to about 1,000. */
export const pictureUrlLengthMax = 4096;
/** Expiry times outside these are noise (2015-01-01 and 2100-01-01). */
export const expirySecondsMin = 1_420_070_400;
export const expirySecondsMax = 4_102_444_800;

/** Blanks and controls, which a URL parser takes out silently, and backslashes, which it takes for slashes. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
const deceptive = /[\u0000-\u0020\u007f-\u00a0\\]/;

function readExpiryMs(url: URL): number | null {
  const hex = url.searchParams.get("oe");
  const decimal = url.searchParams.get("ext");
  const seconds =
    hex !== null && /^[0-9A-Fa-f]{8}$/.test(hex)
      ? Number.parseInt(hex, 16)
      : decimal !== null && /^\d{10}$/.test(decimal)
        ? Number(decimal)
        : 0;
  return seconds >= expirySecondsMin && seconds <= expirySecondsMax ? seconds * 1000 : null;
}

function isPictureHost(host: string): boolean {
  return pictureHosts.some((known) => host === known || host.endsWith(`.${known}`));
}

/**
 * Lets a picture's address through only where it is https on the default port, without user info, on one of Meta's
 * picture hosts (meta-platform.md §9); or exactly on `allowedOrigin`, the sandbox's own. Query parameters keep their order:
 * they are signed. `expiresAtMs` is read from `oe` (hex) or `ext` (decimal); null where neither is there or sane.
 */
export function checkPictureUrl(
  text: string,
  allowedOrigin: string | null,
): { readonly url: string; readonly expiresAtMs: number | null } | null {
  if (text.length > pictureUrlLengthMax || deceptive.test(text)) return null;
  const url = URL.parse(text);
  if (url === null || url.username !== "" || url.password !== "") return null;
  const atMeta = url.protocol === "https:" && url.port === "" && isPictureHost(url.hostname);
  if (!atMeta && (allowedOrigin === null || url.origin !== allowedOrigin)) return null;
  return { url: url.href, expiresAtMs: readExpiryMs(url) };
}

const loopbackHosts = ["127.0.0.1", "localhost", "[::1]"];

/** The origin of a Graph server on this machine (the sandbox), whose pictures are let through; null for any other. */
export function readLoopbackOrigin(graphUrl: string): string | null {
  const url = URL.parse(graphUrl);
  return url !== null && loopbackHosts.includes(url.hostname) ? url.origin : null;
}
