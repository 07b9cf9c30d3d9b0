/** evertoken's server in its own process, a front before it, and tabs of real Chromium on several origins. */

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { after } from "node:test";
import { fileURLToPath } from "node:url";

import { chromium } from "playwright-core";

import { Front } from "./front.js";
import { within } from "../../chromium/support/within.js";

/** @typedef {import("playwright-core").Page} Page */
/** @typedef {{id: string, username: string, generation: number, rotations: number, revoked: ?string, tag: string}} Row */
/** @typedef {{sessions: Row[], events: [string, number, string][], refreshes: Record<string, number>}} Records */

const ROOT = fileURLToPath(new URL("../../../../", import.meta.url));
const PYTHON = process.env.EVERTOKEN_PYTHON ?? path.join(ROOT, ".venv/bin/python");
const CERTIFICATE = path.join(ROOT, "browser/test/chromium/support/certificate.py");
export const PASSWORDS = /** @type {Record<string, string>} */ ({
  ada: "correct-horse-battery", bob: "staple-of-the-stable", eve: "listening-at-the-door",
});
export const COOKIE = "__Host-Http-evertoken";

const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--host-resolver-rules=MAP *.test 127.0.0.1",
];

const found = [...(process.env.PATH ?? "").split(path.delimiter), "/usr/bin"]
  .map((folder) => path.join(folder, "chromium"))
  .find((file) => existsSync(file));

/** Why these tests cannot run here, or false. */
export const skip = found || process.env.CI === "true" ? false : "there is no chromium on PATH";

/** @type {?Promise<import("playwright-core").Browser>} */
let launching = null;

/** One browser per test file; each test has a profile of its own. */
export const browser = () => (launching ??= chromium.launch({ executablePath: found, args: FLAGS }));

after(async () => (await launching)?.close());

/** A key and a certificate that nobody trusts; the browser is told to take it, and then the origin is a secure one. */
export const certificate = () => JSON.parse(execFileSync(PYTHON, [CERTIFICATE], { encoding: "utf8" }));

/** @returns {Promise<number>} a port that nobody listens on now */
async function freePort() {
  const probe = net.createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => probe.once("listening", resolve));
  const { port } = /** @type {net.AddressInfo} */ (probe.address());
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

/** The server, told what to do over its standard input. */
export class Server {
  /** @type {import("node:child_process").ChildProcess | undefined} */
  #process;
  /** @type {AsyncIterator<string> | undefined} */
  #lines;

  /** @param {Record<string, unknown>} settings */
  constructor(settings) {
    this.settings = settings;
  }

  /** @param {Record<string, unknown>} [changes] of its settings @returns {Promise<number>} its port */
  async start(changes = {}) {
    const port = await freePort();
    Object.assign(this.settings, changes, { port });
    const script = fileURLToPath(new URL("server.py", import.meta.url));
    const env = { ...process.env, PYTHONPATH: path.join(ROOT, "src") };
    this.#process = spawn(PYTHON, [script, JSON.stringify(this.settings)], { env, stdio: ["pipe", "pipe", "inherit"] });
    const { stdout } = this.#process;
    assert.ok(stdout);
    this.#lines = createInterface({ input: stdout })[Symbol.asyncIterator]();
    assert.equal((await within("the server's start", this.#lines.next(), 30)).value, "ready");
    return port;
  }

  /** @param {string} what @param {Record<string, unknown>} [more] @returns {Promise<Records>} */
  async tell(what, more = {}) {
    assert.ok(this.#process?.stdin && this.#lines);
    this.#process.stdin.write(`${JSON.stringify({ do: what, ...more })}\n`);
    const { value, done } = await within(`the server's answer to ${what}`, this.#lines.next(), 30);
    assert.ok(!done, `the server did not survive ${what}`);
    return JSON.parse(value);
  }

  records = () => this.tell("records");
  /** Let seconds pass for the server. @param {number} seconds */
  move = (seconds) => this.tell("move", { seconds });
  /** @param {string} username @param {string} reason */
  end = (username, reason) => this.tell("end", { username, reason });

  async stop() {
    const mine = this.#process;
    if (!mine || mine.exitCode !== null) return;
    const ended = new Promise((resolve) => mine.once("exit", resolve));
    mine.stdin?.end();
    await within("the server's end", ended, 25);
  }
}

/** @typedef {{server: Server, front: Front}} Ground */
/** One server and front for all tests of a file that want the same. @type {Map<string, Promise<Ground>>} */
const grounds = new Map();
/** @type {(() => unknown)[]} */
const endings = [];

after(async () => {
  for (const end of endings.reverse()) await end();
});

/** @param {Required<Settings>} settings @returns {Promise<Ground>} */
async function ground({ scheme, issuerHost, overlap, allowed }) {
  const folder = await mkdtemp(path.join(tmpdir(), "evertoken-cookie-"));
  endings.push(() => rm(folder, { recursive: true, force: true }));
  const front = await new Front(scheme === "https" ? certificate() : null).listen();
  endings.push(() => front.close());
  front.allowed = allowed(front);
  const server = new Server({
    issuer: front.origin(issuerHost), store: path.join(folder, "evertoken.db"), overlap_seconds: overlap,
    access_seconds: 1800, allowed_origins: front.allowed, secret: ["the first secret of these tests, 32 long"],
  });
  endings.push(() => server.stop());
  front.target = await server.start();
  return { server, front };
}

/**
 * @typedef {object} Settings
 * @property {"http" | "https"} [scheme]
 * @property {string} [host] where the page lives
 * @property {string} [issuerHost] where the server does
 * @property {number} [overlap] in seconds, 0 is strict
 * @property {(front: Front) => string[]} [allowed] origins
 * @property {string} [initScript] runs in every page before its own
 * @property {Record<string, unknown>} [session] what the page's session is created with
 */

/**
 * A server without sessions, its front and a fresh profile, for one test.
 * @param {import("node:test").TestContext} t
 * @param {Settings} [settings]
 */
export async function stage(t, settings = {}) {
  const { scheme = "http", host = "localhost", issuerHost = host, overlap = 60, allowed = () => [] } = settings;
  const { initScript = "", session = {} } = settings;
  const key = [scheme, issuerHost, overlap, allowed].join();
  if (!grounds.has(key)) {
    grounds.set(key, ground({ scheme, host, issuerHost, overlap, allowed, initScript, session }));
  }
  const { server, front } = await /** @type {Promise<Ground>} */ (grounds.get(key));
  front.reset();
  await server.tell("reset");
  /** @type {string[]} */
  const faults = [];
  t.after(() => assert.deepEqual(faults, [], "nothing was thrown outside of a promise that somebody holds"));

  /** Another profile: another person's browser. */
  const profile = async () => {
    const context = await (await browser()).newContext({ ignoreHTTPSErrors: true });
    context.setDefaultTimeout(15_000);
    t.after(() => context.close());
    if (initScript) await context.addInitScript(initScript);
    return context;
  };
  const context = await profile();
  const base = front.origin(host);
  const address = `${base}/page?settings=${encodeURIComponent(JSON.stringify(session))}`;

  /** A tab on the page, signed in to nothing yet. @param {import("playwright-core").BrowserContext} [within] */
  const tab = async (within = context) => {
    const page = await within.newPage();
    page.on("pageerror", (error) => faults.push(error.message));
    await page.goto(address);
    await ready(page);
    return page;
  };

  /** So many tabs of one signed-in user, each with the access token in hand. */
  const signedIn = async (count = 1, username = "ada") => {
    const tabs = await Promise.all(Array.from({ length: count }, () => tab()));
    assert.equal(await signIn(tabs[0], username), null);
    for (const answer of await Promise.all(tabs.map((each) => ask(each)))) assert.equal(answer.status, 200);
    return tabs;
  };

  /** What stands in the jar for the server; null: no refresh cookie. */
  const cookie = async () => {
    const all = await context.cookies(front.origin(issuerHost));
    return all.find(({ name }) => name === COOKIE)?.value ?? null;
  };
  return { server, front, context, base, address, profile, tab, signedIn, cookie };
}

/** @param {Page} page */
export const ready = (page) => page.waitForFunction("window.isReady");

/** Sign in; what went wrong, or null. @param {Page} tab @param {string} [username] */
export const signIn = (tab, username = "ada") =>
  tab.evaluate((who) => session.login(who).then(() => null, tell), { username, password: PASSWORDS[username] });

/**
 * `session.fetch` in a tab: the status and members of the answer, or the members of the error.
 * @param {Page} tab @param {string} [url] @param {Record<string, unknown>} [init]
 */
export const ask = (tab, url, init) => tab.evaluate(([input, options]) => window.ask(input, options), [url, init]);

/** So many requests at once. @param {Page} tab @param {number} count @param {string} [url] */
export const askMany = (tab, count, url = "/api/x") =>
  tab.evaluate(
    // Each has a URL of its own: of equal ones the browser's cache sends one after the other.
    ([many, input]) => Promise.all(Array.from({ length: many }, (_, index) => window.ask(`${input}?${index}`))),
    [count, url],
  );

/**
 * Begin something without waiting for it; `answerOf` is what became of it.
 * @param {Page} tab @param {string} [what] @param {string} [name]
 */
export const begin = (tab, what = "ask()", name = "pending") => tab.evaluate(`void (window.${name} = ${what})`);

/** @param {Page} tab @param {string} [name] */
export const answerOf = (tab, name = "pending") => within("an answer", tab.evaluate((key) => window[key], name), 30);

/** @param {Page} tab @returns {Promise<boolean>} */
export const restore = (tab) => tab.evaluate(() => session.restore());

/** @param {Page} tab */
export const logout = (tab) => tab.evaluate(() => session.logout().then(() => null, tell));

/** Until an event of this type has come. @param {Page} tab @param {string} type */
export const heard = (tab, type) => within(type, tab.evaluate((name) => window.heard(name), type));

/** The events that a tab has had, after those that are on their way. @param {Page} tab @param {string} [type] */
export const eventsOf = async (tab, type) => {
  const all = await tab.evaluate(() => new Promise((resolve) => setTimeout(() => resolve(events), 20)));
  return type ? all.filter((each) => each.type === type) : all;
};

/** @param {any[]} answers */
export const statuses = (answers) => answers.map((answer) => answer.status ?? answer.code);

/** The live sessions, as the server's database has them. @param {{sessions: any[]}} records */
export const live = ({ sessions }) => sessions.filter(({ revoked }) => revoked === null);
