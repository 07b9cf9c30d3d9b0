// @ts-check
/** A story that is the same for fetch and for four axios versions: an API and a tab per file, a session per story. */

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { after, test } from "node:test";

import { chromium } from "playwright-core";

import { Api } from "./api.js";

/** @typedef {"fetch" | "axios021" | "axios027" | "axios16" | "axios121"} Caller */
/** @typedef {import("playwright-core").Page} Page */

/** @type {Caller[]} */
export const AXIOS = ["axios021", "axios027", "axios16", "axios121"];
/** @type {Caller[]} */
export const ALL = ["fetch", ...AXIOS];
/** The one that has a fetch adapter. @type {Caller[]} */
export const NEWEST = ["axios121"];
/** For what only the session decides, whoever asks. @type {Caller[]} */
export const ONE = ["fetch"];

/** Names that lead to the API, and are other origins than the page's. */
export const SIBLING = "sibling.test";
export const FOREIGN = "foreign.test";
/** No localhost, so that it is no secure context. */
export const LAN = "admin.lan";

const found = [...(process.env.PATH ?? "").split(path.delimiter), "/usr/bin"]
  .map((folder) => path.join(folder, "chromium"))
  .find((file) => existsSync(file));
/** Why these tests cannot run here, or false. */
export const skip = found || process.env.CI === "true" ? false : "there is no chromium on PATH";

const MAPPED = [SIBLING, FOREIGN, LAN].map((name) => `MAP ${name} 127.0.0.1`).join(", ");
const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", `--host-resolver-rules=${MAPPED}`,
];

const HERE = new URL("./", import.meta.url);
const SOURCES = new URL("../../../src/", import.meta.url);
const MODULES = new URL("../../../node_modules/", import.meta.url);
/** @type {Record<string, string>} */
const BUILDS = { axios021: "axios021", axios027: "axios027", axios16: "axios16", axios121: "axios" };
const PAGE = `<!doctype html><title>faults</title>
${AXIOS.map((name) => `<script src="/build/${name}.js"></script><script>window.${name} = axios</script>`).join("\n")}
<script type="module" src="/page.js"></script>`;

/** @param {string} asked */
async function files(asked) {
  const script = { "Content-Type": "text/javascript" };
  if (asked === "/page") return { headers: { "Content-Type": "text/html" }, body: PAGE };
  if (asked === "/favicon.ico") return { status: 204 };
  if (asked === "/page.js") return { headers: script, body: await readFile(new URL("page.js", HERE)) };
  if (asked.startsWith("/client/")) {
    return { headers: script, body: await readFile(new URL(asked.slice("/client/".length), SOURCES)) };
  }
  const build = BUILDS[asked.match(/^\/build\/(\w+)\.js$/)?.[1] ?? ""];
  return build ? { headers: script, body: await readFile(new URL(`${build}/dist/axios.js`, MODULES)) } : null;
}

/** @typedef {import("playwright-core").BrowserContext} Context */
/** @typedef {{api: Api, context: Context, tab: Tab, close: () => Promise<void>}} Ground */

/** @type {?Promise<Ground>} */
let starting = null;

/** One API, one browser and one tab in it per test file. */
function ground() {
  starting ??= (async () => {
    const browser = await chromium.launch({ executablePath: found, args: FLAGS });
    const api = await new Api(files).listen();
    const close = async () => {
      await browser.close();
      await api.close();
    };
    const context = await browser.newContext();
    const tab = await new Tab(await context.newPage()).open(`http://127.0.0.1:${api.port}`);
    return { api, context, tab, close };
  })();
  return starting;
}
after(async () => (await starting)?.close());

/** One tab, and the caller that it sends with. */
export class Tab {
  /** @type {string[]} what was thrown where nobody holds the promise */
  thrown = [];
  /** @type {Caller} */
  caller = "fetch";

  /** @param {Page} page */
  constructor(page) {
    this.page = page;
    page.on("pageerror", (error) => this.thrown.push(error.message));
  }

  /** @param {string} base */
  async open(base) {
    await this.page.goto(`${base}/page`);
    await this.page.waitForFunction("window.faults");
    return this;
  }

  /**
   * Run this in the page.
   * @param {(faults: any, more: any, caller: Caller) => any} work
   * @param {unknown} [more]
   */
  run(work, more = null) {
    return this.page.evaluate(`(${work})(window.faults, ${JSON.stringify(more)}, "${this.caller}")`);
  }

  /** A new session in the page. @param {object} settings @param {?string} user who signs in, or null */
  async begin(settings, user = "ada") {
    await this.run((faults, given) => faults.begin(given), settings);
    if (user) await this.run((faults, name) => faults.signIn(name), user);
  }

  /** One request. @param {string} url @param {object} [more] @returns {Promise<any>} */
  call(url, more = {}) {
    return this.run((faults, request, caller) => faults.call(caller, request), { url, ...more });
  }

  /** So many at once. @param {number} count @param {string} url @param {object} [more] @returns {Promise<any[]>} */
  many(count, url, more = {}) {
    const urls = Array.from({ length: count }, () => ({ url, ...more }));
    return this.run(
      (faults, requests, caller) => Promise.all(requests.map((/** @type {any} */ each) => faults.call(caller, each))),
      urls,
    );
  }

  /** Begin one without waiting for it. @param {string} name @param {string} url @param {object} [more] */
  start(name, url, more = {}) {
    return this.run((faults, [key, request], caller) => void (faults.kept[key] = faults.call(caller, request)), [
      name, { url, ...more },
    ]);
  }

  /** What became of it. @param {string} name @returns {Promise<any>} */
  end(name) {
    return this.run((faults, key) => faults.kept[key], name);
  }

  /** The reasons of the signedout events, after those that are on their way. @returns {Promise<any>} */
  events() {
    return this.run((faults) => new Promise((resolve) => setTimeout(() => resolve(faults.events), 20)));
  }
}

/** @typedef {{api: Api, tab: Tab, caller: Caller, origin: string, another: (host?: string) => Promise<Tab>}} Stage */

/** What holds in every story. @param {Api} api */
function noSecretLeaks({ seen, calls, secrets }) {
  for (const { url, headers: { cookie: _, ...headers }, token, host } of [...seen, ...calls]) {
    for (const secret of secrets) assert.ok(!url.includes(secret), `${url} holds a token`);
    assert.doesNotMatch(JSON.stringify(headers), /refresh-\d|undefined|\[object/, `${host}${url}`);
    if (host === FOREIGN) assert.equal(token, null, "a foreign origin was told a token");
  }
  for (const { path: asked, token } of calls) assert.equal(token, null, `${asked} was sent an access token`);
}

/**
 * Tell one story for each caller, signed in as ada.
 * @param {string} title
 * @param {Caller[]} callers
 * @param {{user?: ?string, leaks?: boolean} & Record<string, unknown>} settings of the session; `leaks` where the story
 *   shows what the client cannot prevent
 * @param {(stage: Stage) => Promise<void>} tell
 */
export function story(title, callers, { user = "ada", leaks = false, ...settings }, tell) {
  test(title, { skip, timeout: 60_000 }, async (t) => {
    const { api, context, tab } = await ground();
    const origin = `http://127.0.0.1:${api.port}`;
    const tabs = [tab];
    const another = async (host = "127.0.0.1") => {
      tabs.push(await new Tab(await context.newPage()).open(`http://${host}:${api.port}`));
      return tabs[tabs.length - 1];
    };
    for (const caller of callers) {
      await t.test(caller, { timeout: 20_000 }, async () => {
        api.reset();
        tab.caller = caller;
        await tab.begin(settings, user);
        await tell({ api, tab, caller, origin, another });
        if (!leaks) noSecretLeaks(api);
        assert.equal(api.reuses, 0, "no refresh token was shown twice");
        for (const { thrown } of tabs) assert.deepEqual(thrown, []);
      });
    }
    for (const { page } of tabs.slice(1)) await page.close();
  });
}

export const statuses = (/** @type {any[]} */ answers) => answers.map((answer) => answer.status ?? answer.code);

/** @param {number} count @param {unknown} value */
export const times = (count, value = 200) => Array.from({ length: count }, () => value);
