/**
 * What a page of these tests holds besides the client: `ask`, and a count of what has not settled.
 *
 * Served as it is. The session's settings stand in the page's address, so that a reload keeps them.
 */

import * as evertoken from "/client/index.js";

const { store = "indexedDB", ...settings } = JSON.parse(new URLSearchParams(location.search).get("settings") ?? "{}");
const stores = {
  // Which documents stood in the store after each other is what some tests are about.
  indexedDB: () => (window.spied ? window.spied(evertoken.indexedDBStore()) : evertoken.indexedDBStore()),
  memory: () => evertoken.memoryStore(),
  none: () => undefined,
};

window.evertoken = evertoken;
window.events = [];
window.tokens = 0;
/** What has been asked and is not answered yet. */
window.open = new Set();
window.session = evertoken.createSession({ ...settings, store: stores[store]() });
session.addEventListener("signedout", ({ reason }) => events.push(reason));
session.addEventListener("token", () => (window.tokens += 1));

window.tell = (error) => ({
  name: error.name, code: error.code, reason: error.reason, message: error.message,
  retryAfterSeconds: error.retryAfterSeconds,
});

/** @param {string} path @param {RequestInit} [init] */
window.ask = async (path, init) => {
  const mine = { path };
  open.add(mine);
  try {
    const response = await session.fetch(path, init ?? {}); // puppeteer makes null of undefined
    return { status: response.status, ...(await response.json().catch(() => ({}))) };
  } catch (error) {
    return tell(error);
  } finally {
    open.delete(mine);
  }
};

/** Ask again and again, as a tile of a dashboard does; `polled` holds what became of it. */
window.polled = [];
window.poll = (path, everyMs) => setInterval(async () => polled.push(await ask(path)), everyMs);

window.isReady = true;
