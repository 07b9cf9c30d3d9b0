// @ts-check
/** A server and tabs of one profile on it, in a real browser. */

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import path from "node:path";
import { after } from "node:test";

import { chromium } from "playwright-core";

import { Server } from "./server.js";

const found = [...(process.env.PATH ?? "").split(path.delimiter), "/usr/bin"]
  .map((folder) => path.join(folder, "chromium"))
  .find((file) => existsSync(file));

/** Why these tests cannot run here, or false. */
export const skip = found ? /** @type {false} */ (false) : "there is no chromium on PATH";

const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"];

/** @type {?Promise<import("playwright-core").Browser>} */
let launching = null;

after(async () => (await launching)?.close());

const PAGE = `<!doctype html><title>evertoken</title><script type="module">
  import * as evertoken from "/client/src/index.js";
  import * as streams from "/client/src/streams.js";
  Object.assign(window, { evertoken, streams, heard: [] });
  window.note = (what) => {
    heard.push(what);
    window.dispatchEvent(new Event("heard"));
  };
  window.tell = (error) => ({
    name: error.name, code: error.code, reason: error.reason, closeCode: error.closeCode, message: error.message,
  });
  window.session = evertoken.createSession({ store: evertoken.indexedDBStore() });
  session.addEventListener("signedout", ({ reason }) => note({ signedout: reason }));
  window.isReady = true;
</script>`;

/**
 * @typedef {object} Stage
 * @property {Server} server
 * @property {() => Promise<Tab>} tab on the page, signed in to nothing yet
 * @property {() => Promise<Tab>} signedIn
 * @property {import("playwright-core").BrowserContext} context
 * @property {string[]} faults what was thrown outside of a promise that somebody holds; checked, unless it is emptied
 */

/** @typedef {import("playwright-core").Page} Tab */

/**
 * @param {import("node:test").TestContext} t
 * @param {{page?: string, sources?: string}} [settings] page is served at /page; sources at /client/
 * @returns {Promise<Stage>}
 */
export async function stage(t, { page = PAGE, sources } = {}) {
  const server = await Server.start();
  t.after(() => server.stop());
  if (sources) server.sources = sources;
  server.files.set("/page", page);
  launching ??= chromium.launch({ executablePath: /** @type {string} */ (found), args: FLAGS });
  const context = await (await launching).newContext();
  t.after(() => context.close());
  context.setDefaultTimeout(15_000);
  /** @type {string[]} */
  const faults = [];
  t.after(() => assert.deepEqual(faults, [], "nothing was thrown outside of a promise that somebody holds"));
  const tab = async () => {
    const opened = await context.newPage();
    opened.on("pageerror", (error) => faults.push(error.message));
    await opened.goto(`${server.url}/page`);
    await opened.waitForFunction("window.isReady");
    return opened;
  };
  const signedIn = async () => {
    const opened = await tab();
    await opened.evaluate("session.login({ username: 'ada', password: 'correct-horse-battery' })");
    return opened;
  };
  return { server, tab, signedIn, context, faults };
}

/** Wait until a tab has noted so many things, and return them. @param {Tab} tab @param {number} count */
export async function heard(tab, count) {
  await tab.waitForFunction((many) => /** @type {any} */ (window).heard.length >= many, count);
  return /** @type {Promise<any[]>} */ (tab.evaluate("heard"));
}
