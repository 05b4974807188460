/**
 * Pictures: links that differ at every call and die, as on Meta's CDN (meta-platform.md §9), and the generated faces
 * behind them.
 */
import { createChance, hashText } from "./chance.ts";

/** "A few days"; reports say four to five. */
export const pictureLifetimeMsDefault = 4 * 86_400_000;
const picturePath = /^\/pictures\/([0-9]{1,32})\.svg$/;

/** Makes a link to a person's face, dead after `expiresAtMs`. `number` makes its text unlike any other. */
export function createPictureUrl(
  origin: string,
  seed: number,
  personId: string,
  options: { expiresAtMs: number; number: number },
): string {
  const oe = Math.floor(options.expiresAtMs / 1000)
    .toString(16)
    .toUpperCase()
    .padStart(8, "0");
  const nonce = `00_${options.number.toString(36)}`;
  return `${origin}/pictures/${personId}.svg?_nc_ht=sandbox&oh=${nonce}_${signPicture(seed, personId, oe, nonce)}&oe=${oe}`;
}

/** Answers a picture link: the face, or the refusals of §9. `null` where the path is no picture's. */
export function answerPicture(url: URL, seed: number, nowMs: number): Response | null {
  const personId = picturePath.exec(url.pathname)?.[1];
  if (personId === undefined) return null;
  const oe = url.searchParams.get("oe") ?? "";
  if (!/^[0-9A-Fa-f]{8}$/.test(oe)) return refuse("Bad URL date param");
  const [zero = "", number = "", signature = ""] = (url.searchParams.get("oh") ?? "").split("_");
  if (signature !== signPicture(seed, personId, oe, `${zero}_${number}`)) return refuse("URL signature mismatch");
  if (Number.parseInt(oe, 16) * 1000 <= nowMs) return refuse("URL signature expired");
  return new Response(drawFace(personId), {
    headers: {
      "Content-Type": "image/svg+xml",
      "Cache-Control": "max-age=1209600",
      "X-Content-Type-Options": "nosniff",
    },
  });
}

function refuse(text: string): Response {
  return new Response(text, { status: 403, headers: { "Content-Type": "text/plain" } });
}

function signPicture(seed: number, personId: string, oe: string, nonce: string): string {
  const text = `${personId} ${oe} ${nonce}`;
  return (
    hashText(seed, text).toString(16).padStart(8, "0") +
    hashText(seed + 1, text)
      .toString(16)
      .padStart(8, "0")
  );
}

const skins = ["#f6d7c3", "#eec1a0", "#d9a077", "#b97a50", "#8d5a3a", "#6b4530"] as const;
const hairs = ["#1d1a1a", "#4a2f1f", "#8a5a2b", "#d8a848", "#b23b22", "#9aa0a6", "#5a3fa0", "#167a7a"] as const;
const shapes = [
  "M22 50 Q22 16 50 16 Q78 16 78 50 Q70 30 50 30 Q30 30 22 50Z",
  "M20 72 Q14 14 50 14 Q86 14 80 72 L72 72 Q76 34 50 32 Q24 34 28 72Z",
  "M24 44 Q26 18 52 15 Q80 18 77 46 Q62 40 56 26 Q44 42 24 44Z",
  "M30 30 Q34 12 50 12 Q66 12 70 30 Q60 24 50 24 Q40 24 30 30Z",
] as const;
const mouths = ["M40 66 Q50 76 60 66", "M40 67 L60 67", "M41 64 Q50 80 59 64 Z", "M42 68 Q50 62 58 68"] as const;

/** Draws the face of an id: always the same one, as SVG. */
export function drawFace(personId: string): string {
  const chance = createChance(hashText(7, personId));
  const hue = chance.below(360);
  const skin = chance.pick(skins);
  const hair = chance.pick(hairs);
  const eye = 2.2 + chance.next() * 1.6;
  const spread = 9 + chance.below(4);
  const glasses =
    chance.next() < 0.25
      ? `<g fill="none" stroke="#222" stroke-width="1.6"><circle cx="${50 - spread}" cy="50" r="7"/><circle cx="${50 + spread}" cy="50" r="7"/></g>`
      : "";
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" width="150" height="150" viewBox="0 0 100 100">` +
    `<rect width="100" height="100" fill="hsl(${hue} 55% 78%)"/>` +
    `<path d="M12 100 Q14 82 50 80 Q86 82 88 100Z" fill="hsl(${(hue + 150) % 360} 45% 45%)"/>` +
    `<rect x="42" y="70" width="16" height="16" rx="6" fill="${skin}"/>` +
    `<ellipse cx="50" cy="52" rx="26" ry="30" fill="${skin}"/>` +
    `<path d="${chance.pick(shapes)}" fill="${hair}"/>` +
    drawEyes("#fff", spread, eye + 1.3) +
    drawEyes("#222", spread, eye) +
    `${glasses}<path d="${chance.pick(mouths)}" fill="none" stroke="#7a2e2e" stroke-width="2" stroke-linecap="round"/></svg>`
  );
}

function drawEyes(colour: string, spread: number, radius: number): string {
  const size = radius.toFixed(1);
  const eyes = [50 - spread, 50 + spread].map((x) => `<circle cx="${x}" cy="50" r="${size}"/>`);
  return `<g fill="${colour}">${eyes.join("")}</g>`;
}
