// @ts-check
/** A set-up, or evertoken's client in its place, in a tab of real Chromium, before a server that speaks its dialect. */

import assert from "node:assert/strict";
import { after } from "node:test";

import { chromium } from "playwright-core";

import { executable, skip } from "./chromium.js";
import { Front } from "./front.js";
import { Server } from "./server.js";
import { within } from "../../chromium/support/within.js";

/** @typedef {import("playwright-core").Page} Page */
/** @typedef {import("playwright-core").BrowserContext} Context */
/**
 * The set-up as published; with its interceptors replaced; or evertoken's client in its place, and how it is called.
 * @typedef {"setup" | "replaced" | "axios" | "fetch" | "mixed"} Kind
 */
/** @typedef {{status?: number | string, error?: string, message?: string, bytes?: number}} Outcome */
/** @typedef {{title: string, file: string, axios: string, isElsewhere?: boolean, login: string, refresh: string}} Setup */

/** By the name of their dialect. `isElsewhere`: the API is on another port than the page. @type {Record<string, Setup>} */
export const SETUPS = {
  "raw-header": { title: "1 raw header", file: "raw_header", axios: "axios021", login: "/login", refresh: "/refresh" },
  "status-code-in-body": {
    title: "2 status code in body", file: "status_code_in_body", axios: "axios021", login: "/api/token/login",
    refresh: "/api/token/refreshToken",
  },
  nest: {
    title: "3 Nest", file: "nest", axios: "axios16", isElsewhere: true, login: "/user/login", refresh: "/user/refresh",
  },
  "get-refresh": { title: "4 GET refresh", file: "get_refresh", axios: "axios16", login: "/login", refresh: "/refresh" },
  "code-in-400": {
    title: "5 code in 400", file: "code_in_400", axios: "axios027", login: "/login", refresh: "/token/refresh",
  },
  "cookie-envelope": {
    title: "6 cookie and envelope", file: "cookie_envelope", axios: "axios", isElsewhere: true,
    login: "/api/Auth/Login", refresh: "/api/Auth/RefreshToken",
  },
  "code-in-200": { title: "7 code in 200", file: "code_in_200", axios: "axios16", login: "/login", refresh: "/refresh" },
};

export const PASSWORDS = /** @type {Record<string, string>} */ ({ ada: "correct-horse-battery" });
export const MINUTE = 60;
export const DAY = 86_400;

const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];

export { skip };

/** @type {?Promise<import("playwright-core").Browser>} */
let launching = null;
const server = new Server();
/** @typedef {{front: Front, context: Context, page: Page, clear: () => Promise<void>}} Ground */
/** One per dialect. @type {Map<string, Promise<Ground>>} */
const grounds = new Map();

after(async () => {
  await (await launching)?.close();
  for (const ground of grounds.values()) await (await ground).front.close();
  await server.stop();
});

/** @param {string} name @param {string} dialect @returns {Promise<Ground>} */
async function groundOf(name, dialect) {
  const front = await new Front().listen();
  const [page, elsewhere] = front.origins;
  const issuer = SETUPS[dialect].isElsewhere ? elsewhere : page;
  // What works without an overlap works with any.
  front.target = await server.open({ name, dialect, issuer, page, overlap: 0 });
  launching ??= chromium.launch({ executablePath: executable, args: FLAGS });
  const context = await (await launching).newContext();
  context.setDefaultTimeout(15_000);
  const first = await context.newPage();
  const devtools = await context.newCDPSession(first);
  const clear = async () => {
    for (const each of context.pages().slice(1)) await each.close();
    if (first.url().startsWith(page)) await first.evaluate(() => sessionStorage.clear());
    await first.goto("about:blank");
    await devtools.send("Storage.clearDataForOrigin", { origin: page, storageTypes: "all" });
    await context.clearCookies();
    first.removeAllListeners();
  };
  return { front, context, page: first, clear };
}

/** One tab, with its set-up. */
export class Tab {
  /** What the page was told by alert(). @type {string[]} */
  alerts = [];
  /** What was thrown where nobody holds the promise. @type {string[]} */
  thrown = [];

  /** @param {Page} page @param {Front} front @param {number} pauseMs longer than any timer of its page */
  constructor(page, front, pauseMs) {
    this.page = page;
    this.front = front;
    this.pauseMs = pauseMs;
    page.on("pageerror", (error) => this.thrown.push(error.message));
    page.on("dialog", (dialog) => {
      this.alerts.push(dialog.message());
      void dialog.accept();
    });
  }

  /** @param {string} [where] */
  async open(where = "/") {
    await this.page.goto(`${this.front.origins[0]}${where}`);
    return this.ready();
  }

  async ready() {
    await this.page.waitForFunction("window.app");
    return this;
  }

  /** Sign in; what went wrong, or null. @param {string} [password] @returns {Promise<?Outcome>} */
  enter(password = PASSWORDS.ada) {
    const entering = this.page.evaluate((word) => /** @type {any} */ (window).app.enter("ada", word), password);
    return within("a sign-in", entering, 15);
  }

  /**
   * Begin a request without waiting for it.
   * @param {string} url
   * @param {Record<string, unknown>} [config]
   * @param {string} [name]
   */
  async start(url, config = {}, name = url) {
    await this.page.evaluate(([key, given]) => /** @type {any} */ (window).app.start(key, given), /** @type {const} */ ([
      name, { url, ...config },
    ]));
  }

  /** Begin all of them in one turn of the page. @param {string[]} urls */
  async startAll(urls) {
    await this.page.evaluate((all) => {
      for (const url of all) /** @type {any} */ (window).app.start(url, { url });
    }, urls);
  }

  /** What became of these. @param {string[]} names @returns {Promise<Outcome[]>} */
  ended(names) {
    return within(`an end of ${names}`, this.page.evaluate((all) => /** @type {any} */ (window).app.ended(all), names), 15);
  }

  /** One request. @param {string} url @param {Record<string, unknown>} [config] */
  async call(url, config) {
    await this.start(url, config);
    return (await this.ended([url]))[0];
  }

  /**
   * What is there of these once nothing is under way any more; null: it waits for nothing.
   * @param {string[]} names
   * @returns {Promise<(?Outcome | undefined)[]>} undefined: the page has been left
   */
  async settled(names) {
    if (this.pauseMs < 100) return this.ended(names);
    const haveAllEnded = async () => (await this.now(names)).every((outcome) => outcome !== null);
    await this.quiet(this.pauseMs, 3, haveAllEnded);
    return this.now(names);
  }

  /**
   * Until nothing is under way, neither on its way to the server nor in the page's mind.
   * @param {number} [pauseMs]
   * @param {number} [rounds] so often it is looked for, in a row
   * @param {() => Promise<boolean>} [isEnough]
   */
  async quiet(pauseMs = this.pauseMs, rounds = 2, isEnough = async () => false) {
    const pause = (/** @type {number} */ ms) => new Promise((resolve) => setTimeout(resolve, ms));
    for (let round = 0, last = -1; round < rounds && !(await isEnough()); round += 1) {
      await this.front.until("an end of all requests", () => this.front.open === 0, 20);
      if (last !== this.front.seen.length) round = 0;
      last = this.front.seen.length;
      // In the page's own time: where the machine is busy, the page is given more of it.
      await this.page.evaluate(pause, pauseMs).catch(() => null);
      await this.ready();
    }
  }

  /** @param {string[]} names @returns {Promise<(?Outcome | undefined)[]>} undefined: the page has been left since */
  async now(names) {
    const look = async () => (await this.ready()).page.evaluate((all) => /** @type {any} */ (window).app.now(all), names);
    // Where the page is just being left, it is asked once it is there again.
    return look().catch(look);
  }

  /** Until the page has gone to its sign-in. */
  async atLogin() {
    await this.page.waitForFunction("window.app?.isAtLogin()", null, { timeout: 10_000 });
    return this.ready();
  }
}

/**
 * A page before a server with nobody signed in, for one test.
 * @param {import("node:test").TestContext} t
 * @param {string} dialect
 * @param {Kind} kind
 * @param {{isAlone?: boolean}} [settings] alone: what is done to its browser is not undone
 */
export async function stage(t, dialect, kind, { isAlone = false } = {}) {
  const key = isAlone ? `${dialect} alone` : dialect;
  if (!grounds.has(key)) grounds.set(key, groundOf(key, dialect));
  const { front, context, page, clear } = await /** @type {Promise<Ground>} */ (grounds.get(key));
  await clear();
  const { file, axios, isElsewhere } = SETUPS[dialect];
  const isOurs = ["axios", "fetch", "mixed"].includes(kind);
  front.reset();
  /** From now on, and in pages that are loaded anew, this stands in the page. @param {Kind} what */
  const place = (what) => {
    const files = { setup: `/setups/${file}.js`, replaced: `/setups/replaced/${file}.js` };
    const script = /** @type {Record<string, string>} */ (files)[what] ?? "/support/ours.js";
    front.told = { axios, API: isElsewhere ? front.origins[1] : "", DIALECT: dialect, CALLER: what, SETUP: script, TURN: Object.keys(SETUPS).indexOf(dialect) };
  };
  place(kind);
  const pauseMs = isOurs ? 60 : dialect === "status-code-in-body" && kind === "setup" ? 600 : 150;
  const tab = new Tab(page, front, pauseMs);
  if (kind !== "setup") t.after(() => assert.deepEqual(tab.thrown, [], "nothing was thrown where nobody holds the promise"));

  /** Begin requests at once, and let no refresh through before all of them have been refused. @param {string[]} urls */
  const expiredTogether = async (urls) => {
    const refresh = front.hold(SETUPS[dialect].refresh, "asked");
    await tab.startAll(urls);
    const isRefused = (/** @type {string} */ url) => front.of(url).some(({ status }) => status > 0);
    await front.until("a refusal of each", () => urls.every(isRefused));
    await tab.quiet();
    refresh.release();
  };

  /** Another tab, opened by the first one, as by a link: it takes a copy of its sessionStorage along. */
  const another = async () => {
    const opening = context.waitForEvent("page");
    await tab.page.evaluate(() => void window.open("/", "_blank"));
    return new Tab(await opening, front, pauseMs).ready();
  };
  return {
    front, tab, context, another, expiredTogether, place, setup: SETUPS[dialect],
    /** Let seconds pass for the server. @param {number} seconds */
    move: (seconds) => server.tell({ do: "move", name: key, seconds }),
    /** What the servers have logged, and how this one keeps the password. @returns {Promise<any>} */
    records: () => server.tell({ do: "records", name: key }),
    /** Refreshes that the server was asked for. */
    refreshes: () => front.of(SETUPS[dialect].refresh).length,
  };
}

/** @typedef {Awaited<ReturnType<typeof stage>>} Stage */

/** Each in a word. @param {(?Outcome | undefined)[]} outcomes */
export const words = (outcomes) =>
  outcomes.map((each) => (each === undefined ? "left" : each === null ? "hangs" : (each.status ?? each.error)));
