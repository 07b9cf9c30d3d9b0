/** A fake server whose clock can be moved, and one origin before it that serves the pages of these tests. */

import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import path from "node:path";

import { Server } from "../../chromium/support/fake_server.js";
import { Front } from "../../chromium/support/front.js";

export { within } from "../../chromium/support/within.js";

const AXIOS = new URL("../../../node_modules/axios/dist/esm/axios.js", import.meta.url);
const PAGE = '<!doctype html><title>evertoken</title><script type="module" src="/page.js"></script>';

/** @param {string} name of a program on PATH */
export const onPath = (name) =>
  [...(process.env.PATH ?? "").split(path.delimiter), "/usr/bin"]
    .map((folder) => path.join(folder, name))
    .find((file) => existsSync(file));

/**
 * Why tests cannot run without a program, or false. On CI they fail instead: there it has to be installed.
 * @param {string} name
 */
export const skipWithout = (name) => (onPath(name) || process.env.CI === "true" ? false : `there is no ${name} on PATH`);

/** The front with pages of its own, and a cable that can be pulled. */
export class Stand extends Front {
  /** While it is down, whoever connects is cut off, as by a network that is not there yet. */
  isDown = false;

  constructor(target) {
    super(target);
    const [handle] = this.server.listeners("request");
    this.server.removeAllListeners("request");
    this.server.on("request", (request, response) => {
      this.#page(request, response).then((isServed) => isServed || handle(request, response), () => response.destroy());
    });
    this.server.on("connection", (socket) => this.isDown && socket.destroy());
  }

  /** Pull the cable: what is under way is lost as well. */
  pull() {
    this.isDown = true;
    for (const socket of this.sockets) socket.destroy();
  }

  plug() {
    this.isDown = false;
  }

  async #page(request, response) {
    const files = { "/page.js": new URL("page.js", import.meta.url), "/axios.js": AXIOS };
    const asked = request.url.split("?")[0];
    const file = files[asked];
    if (!file && !["/page", "/elsewhere"].includes(asked)) return false;
    response.setHeader("Content-Type", file ? "text/javascript" : "text/html");
    response.end(file ? await readFile(file) : asked === "/page" ? PAGE : "<!doctype html><title>elsewhere</title>");
    return true;
  }
}

/**
 * A server and its front, for one test.
 * @param {import("node:test").TestContext} t
 * @param {Record<string, unknown>} [settings] FakeServer's
 */
export async function rig(t, settings = {}) {
  const server = await Server.start(settings);
  t.after(() => server.stop());
  const front = await new Stand(server.url).listen();
  t.after(() => front.close());
  /** @param {Record<string, unknown>} [session] what its session is created with; `store` is a name in page.js */
  const page = (session = {}) => `${front.url}/page?settings=${encodeURIComponent(JSON.stringify(session))}`;
  return { server, front, page };
}

/** Wait until a page's scripts have run; what has been thrown in it says why they have not. @param {string[]} faults */
export async function ready(tab, faults) {
  const probe = () => tab.evaluate(() => window.isReady === true);
  const giveUpAt = Date.now() + 10_000;
  while (!(await probe())) {
    assert.ok(faults.length === 0 && Date.now() < giveUpAt, `the page is not ready: ${faults.join("; ")}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Wait until each tab has been refused and waits for a refresh: what is cut off from then on is no refusal. */
export const allWait = (tabs) =>
  Promise.all(tabs.map((tab) => tab.waitForFunction(() => session.gate.refresher.isFlying, { timeout: 10_000 })));

/** How many requests of a page have not settled; none may be left when a test ends. */
export const unsettled = (tab) => tab.evaluate(() => [...open].map(({ path: asked }) => asked));

/** The version of the session in the store, which grows by one with each that is written. */
export const version = (document) => JSON.parse(document).version;

/**
 * Runs in a page before its own scripts: after `standStill()`, what is read from the store while the page holds the
 * lease does not go on until `goOn()`; `isStanding` tells that it has come so far.
 */
export function holdReads() {
  let gate = null;
  let open;
  window.standStill = () => void (gate = new Promise((resolve) => (open = resolve)));
  window.goOn = () => {
    gate = null;
    open();
  };
  window.spied = (inner) => {
    let isLeased = false;
    return {
      ...inner,
      lease: (work, timeoutMs) =>
        inner.lease(async () => {
          isLeased = true;
          try {
            return await work();
          } finally {
            isLeased = false;
          }
        }, timeoutMs),
      load: async () => {
        const document = await inner.load();
        if (isLeased && gate) {
          window.isStanding = true;
          await gate;
        }
        return document;
      },
    };
  };
}
