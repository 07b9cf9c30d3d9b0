/** What a test of the pages stands on: a whole server in its own process, and browsers that tell what they dislike. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { after } from "node:test";
import { setTimeout as setTimeoutOf } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import { chromium } from "playwright-core";

export const ROOT = fileURLToPath(new URL("../../../../", import.meta.url));
export const PYTHON = process.env.EVERTOKEN_PYTHON ?? path.join(ROOT, ".venv/bin/python");
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
/** A name that is no localhost: to a browser, plain http there is no secure context. */
export const LAN = "admin.lan";
const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", `--host-resolver-rules=MAP ${LAN} 127.0.0.1`,
];
/** The longest that anything here is waited for. */
const PATIENCE_MS = 15_000;

const found = [...(process.env.PATH ?? "").split(path.delimiter), "/usr/bin"]
  .map((folder) => path.join(folder, "chromium"))
  .find((file) => existsSync(file));

/** Why these tests cannot run here, or false. */
export const skip = found ? false : "there is no chromium on PATH";

/** Where screenshots go: EVERTOKEN_SCREENSHOTS, or a folder of this run. */
export const SCREENSHOTS = process.env.EVERTOKEN_SCREENSHOTS ?? mkdtempSync(path.join(os.tmpdir(), "evertoken-pages-"));

let launching = null;

/** One browser per test file. */
function browser() {
  launching ??= chromium.launch({ executablePath: found, args: FLAGS });
  return launching;
}

after(async () => (await launching)?.close());

/** The same promise, or an error where it takes too long. */
async function within(what, promise, ms = PATIENCE_MS) {
  const giveUp = new AbortController();
  const late = setTimeoutOf(ms, null, { signal: giveUp.signal, ref: false }).then(
    () => assert.fail(`${what} did not come within ${ms} ms`),
    () => {},
  );
  try {
    return await Promise.race([promise, late]);
  } finally {
    giveUp.abort();
  }
}

/** The server's process, told what to do over its standard input. */
class Site {
  static async start(settings) {
    const site = new Site();
    const env = { ...process.env, PYTHONPATH: [ROOT, path.join(ROOT, "src")].join(path.delimiter) };
    const script = fileURLToPath(new URL("site.py", import.meta.url));
    site.process = spawn(PYTHON, [script, JSON.stringify(settings)], { env, stdio: ["pipe", "pipe", "inherit"] });
    site.lines = createInterface({ input: site.process.stdout })[Symbol.asyncIterator]();
    Object.assign(site, await site.#next("start"));
    return site;
  }

  /** A user who can sign in with `password`; the id. */
  addUser = (username, roles = []) => this.tell("add_user", { username, roles });

  async tell(what, more = {}) {
    this.process.stdin.write(`${JSON.stringify({ do: what, ...more })}\n`);
    return this.#next(what);
  }

  async #next(what) {
    const { value, done } = await within(`the server's answer to ${what}`, this.lines.next());
    assert.ok(!done, `the server did not survive ${what}`);
    return JSON.parse(value);
  }

  async stop() {
    const ended = new Promise((resolve) => this.process.once("exit", resolve));
    this.process.stdin.end();
    // It lets the connections that browsers keep open end first, for at most ten seconds.
    await within("the server's end", ended, 2 * PATIENCE_MS).catch((error) => {
      this.process.kill("SIGKILL");
      throw error;
    });
  }
}

/**
 * A server with the users ada (role admin) and bob; whoever starts it stops it: `after(() => server?.stop())`.
 * @param {Record<string, unknown>} settings of the server, as one writes them; host_name: of its issuer
 */
export async function startSite(settings = {}) {
  const server = await Site.start(settings);
  await server.addUser("ada", ["admin"]);
  await server.addUser("bob");
  return server;
}

/**
 * A browser profile of its own. At the end of the test nothing may have been thrown, logged as an error or held back by
 * the pages' content security policy.
 * @param {import("node:test").TestContext} t
 * @param {{url: string}} server
 * @param {import("playwright-core").BrowserContextOptions} options  colorScheme, locale, viewport, userAgent ...
 * @returns {Promise<{context: import("playwright-core").BrowserContext, faults: string[], open: (path: string) => Promise<import("playwright-core").Page>}>}
 */
export async function profile(t, { url }, options = {}) {
  const context = await (await browser()).newContext({ baseURL: url, locale: "en-GB", ...options });
  t.after(() => context.close());
  context.setDefaultTimeout(PATIENCE_MS);
  const faults = [];
  t.after(() => assert.deepEqual(faults, [], "the page had nothing to complain of"));
  await context.exposeBinding("tellFault", (_source, text) => void faults.push(text));
  await context.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) =>
      window.tellFault(`CSP: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`),
    );
  });
  context.on("weberror", (error) => faults.push(`thrown: ${error.error().stack}`));
  context.on("console", (message) => {
    if (!["error", "warning"].includes(message.type())) return;
    // Chromium writes every answer from 400 on into the console, and a refused token is one.
    if (/^Failed to load resource: the server responded with a status of (401|403|422|429)/.test(message.text())) return;
    faults.push(`console: ${message.text()} ${message.location().url}`);
  });
  const open = async (address) => {
    const page = await context.newPage();
    await page.goto(address);
    return page;
  };
  return { context, faults, open };
}

/** Sign in by the form of the page. */
export async function signIn(page, server, username = "ada") {
  await page.getByLabel(/^(User name|用户名)$/).fill(username);
  await page.getByLabel(/^(Password|密码)$/).fill(server.password);
  await page.getByRole("button", { name: /^(Sign in|登录)$/ }).click();
  await page.getByRole("button", { name: /^(Sign out|退出登录)$/ }).waitFor();
}

/** Sign in as a program on another device does; its session's id and access token. */
export async function signInElsewhere(server, username = "ada", device = "evertoken-test/1.0") {
  const response = await fetch(new URL("/auth/login", server.url), {
    method: "POST",
    headers: { "Content-Type": "application/json", "User-Agent": device },
    body: JSON.stringify({ username, password: server.password }),
    signal: AbortSignal.timeout(PATIENCE_MS),
  });
  assert.equal(response.status, 200);
  return response.json();
}

/** Call the server as that other device does; the status. */
export async function callAs({ access_token }, server, method, address) {
  const response = await fetch(new URL(address, server.url), {
    method, headers: { Authorization: `Bearer ${access_token}` }, signal: AbortSignal.timeout(PATIENCE_MS),
  });
  return response.status;
}

/** What axe-core finds on the page as it stands: [] or lines to act on. */
export async function barriers(page) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() =>
    axe.run(document, {
      runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
      resultTypes: ["violations"],
    }),
  );
  return violations.flatMap(({ id, nodes }) => nodes.map(({ target, failureSummary }) => `${id} ${target}: ${failureSummary}`));
}

/**
 * Look at the page in both themes and both languages: axe-core must find nothing, and a screenshot is kept of each.
 * @param {import("playwright-core").Page} page
 * @param {string} name of the screenshots
 * @param {() => Promise<unknown>} ready waits until the page shows what it should, whatever its language
 */
export async function inEveryLook(page, name, ready) {
  for (const language of ["en", "zh"]) {
    await page.locator("header select").selectOption(language);
    await ready();
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme });
      assert.deepEqual(await barriers(page), [], `${name} ${language} ${colorScheme}`);
      await screenshot(page, `${name}-${language}-${colorScheme}`);
    }
  }
}

export async function screenshot(page, name) {
  mkdirSync(SCREENSHOTS, { recursive: true });
  await page.screenshot({ path: path.join(SCREENSHOTS, `${name}.png`), fullPage: true });
}
