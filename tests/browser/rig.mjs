// A browser on the dashboard, with everything that must not happen noted down.

import { mkdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { chromium } from "playwright-core";

const axePath = createRequire(import.meta.url).resolve("axe-core/axe.min.js");

export function assert(is, text) {
  if (!is) throw new Error(text);
}

export async function open({ url, shots, width = 1440, height = 900, theme = "light", locale = "en-GB" }) {
  await mkdir(shots, { recursive: true });
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: ["--no-sandbox"] });
  const context = await browser.newContext({ baseURL: url, viewport: { width, height }, colorScheme: theme, locale, timezoneId: "Europe/Berlin", reducedMotion: "reduce" });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  const wrong = [];
  // What the browser says of itself; a refusal that a test provokes is struck
  // out by it.
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) wrong.push(`console: ${message.text()} (${message.location().url})`);
  });
  page.on("pageerror", (error) => wrong.push(`error: ${error.stack || error}`));
  page.on("requestfailed", (request) => {
    const why = request.failure()?.errorText || "";
    // A page that is left gives its questions up.
    if (why !== "net::ERR_ABORTED") wrong.push(`request: ${request.url()} ${why}`);
  });
  page.on("request", (request) => {
    if (!request.url().startsWith(url)) wrong.push(`elsewhere: ${request.url()}`);
  });
  await page.addInitScript(() => {
    addEventListener("securitypolicyviolation", (event) => console.error(`CSP ${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
  });
  return { browser, context, page, wrong, shots };
}

// Waits until a page has been filled.
export async function settled(page) {
  await page.waitForSelector("main h1, main h2");
  await page.waitForFunction(() => !document.querySelector("[aria-busy]"));
}

export async function shoot({ page, shots }, name, whole = true) {
  await page.screenshot({ path: join(shots, `${name}.png`), fullPage: whole });
}

// Serious and critical findings of axe-core; none may be left. It runs in the
// page's own world, where the content security policy does not hold.
export async function check({ page }, name) {
  const source = await readFile(axePath, "utf8");
  await page.evaluate(source);
  const found = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  const serious = found.violations.filter((one) => ["serious", "critical"].includes(one.impact));
  const told = serious.map((one) => `${one.id}: ${one.help}\n    ${one.nodes.slice(0, 4).map((node) => `${node.target.join(" ")} ${node.failureSummary}`).join("\n    ")}`);
  assert(serious.length === 0, `axe-core on ${name}:\n  ${told.join("\n  ")}`);
}

export async function fits(page, name) {
  const wide = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert(wide[0] <= wide[1], `${name} scrolls sideways: ${wide[0]} px in a window of ${wide[1]} px`);
}

export function nothingWrong(wrong, name) {
  assert(wrong.length === 0, `${name}:\n  ${wrong.join("\n  ")}`);
}
