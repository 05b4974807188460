import { existsSync } from "node:fs";
import { type Browser, chromium, type Page } from "playwright-core";
import { canInstallDebianPackages, installDebianPackages } from "../support/debian-packages.ts";

const chromiumPath = "/usr/bin/chromium";
/** Installing Debian's chromium may take minutes on a slow line. */
export const browserMsMax = 600_000;

/** Starts Debian's Chromium, and installs it first where it is missing and that is possible. */
export async function openBrowser(): Promise<Browser> {
  if (!existsSync(chromiumPath)) {
    if (!canInstallDebianPackages())
      throw new Error("Cannot test the pages: install Debian's package chromium, or run as root so that the tests can");
    installDebianPackages(["chromium"]);
  }
  return chromium.launch({
    executablePath: chromiumPath,
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}

/** A tab that remembers what it asked for and what went wrong in it. */
export async function openTab(
  browser: Browser,
  origin: string,
  path: string,
  options: { width?: number; dark?: boolean } = {},
) {
  const context = await browser.newContext({
    viewport: { width: options.width ?? 1180, height: 760 },
    colorScheme: options.dark ? "dark" : "light",
  });
  const page = await context.newPage();
  const strangers: string[] = [];
  const troubles: string[] = [];
  page.on("request", (request) => {
    const { protocol, origin: asked } = new URL(request.url());
    if (protocol !== "data:" && protocol !== "blob:" && asked !== origin) strangers.push(request.url());
  });
  page.on("console", (line) => {
    if (line.type() === "error" || line.text().includes("Content Security Policy")) troubles.push(line.text());
  });
  page.on("pageerror", (error) => troubles.push(error.message));
  await page.goto(`${origin}${path}`);
  return { page, strangers, troubles, [Symbol.asyncDispose]: () => context.close() };
}

/** For a look by eye: `SHOTS=/tmp bun test test/http/page.test.ts`. */
export async function shoot(page: Page, name: string): Promise<void> {
  if (process.env.SHOTS !== undefined) await page.screenshot({ path: `${process.env.SHOTS}/${name}.png` });
}
