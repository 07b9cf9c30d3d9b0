// @ts-check
/** A page that runs a guide's code, before a server that speaks its dialect. */

import { readFileSync } from "node:fs";
import { after } from "node:test";

import { chromium } from "playwright-core";

import { executable } from "../support/chromium.js";
import { Front } from "../support/front.js";
import { Server } from "../support/server.js";

const AXIOS = new URL("../../../node_modules/axios/dist/esm/axios.min.js", import.meta.url);
const IMPORTS = { evertoken: "/client/index.js", axios: "/axios.js" };
const PAGE = `<!doctype html><title>a guide</title>
<script type="importmap">${JSON.stringify({ imports: IMPORTS })}</script>
<script type="module">
  const module = await import(location.search.slice(1));
  window.app = {
    signIn: module.signIn,
    signOut: module.signOut,
    session: module.session,
    // Some set-ups hand out the body, others the whole answer.
    get: (path) => module.request.get(path).then((answer) => (answer.data ?? answer).path, (error) => String(error.code)),
  };
</script>`;
const LOGIN = "<!doctype html><title>sign in</title>";

const server = new Server();
/** @type {?Promise<import("playwright-core").Browser>} */
let launching = null;
/** @type {Front[]} */
const fronts = [];

after(async () => {
  await (await launching)?.close();
  for (const front of fronts) await front.close();
  await server.stop();
});

/**
 * A server of one dialect, and a page in a fresh profile for each module that it is asked to run.
 * @param {import("node:test").TestContext} t
 * @param {string} dialect
 * @param {Record<string, string>} modules their texts by path
 */
export async function stage(t, dialect, modules) {
  const front = await new Front().listen();
  fronts.push(front);
  front.files = { ...modules, "/page": PAGE, "/login": LOGIN, "/axios.js": readFileSync(AXIOS, "utf8") };
  const [origin] = front.origins;
  const name = `guide ${dialect} ${new URL(origin).port}`;
  front.target = await server.open({ name, dialect, issuer: origin, page: origin, overlap: 60 });

  /** A profile of its own. */
  const profile = async () => {
    launching ??= chromium.launch({ executablePath: executable, args: ["--no-sandbox", "--disable-gpu"] });
    const context = await (await launching).newContext();
    context.setDefaultTimeout(15_000);
    t.after(() => context.close());
    return context;
  };

  /** A page with one of the modules. @param {string} module @param {import("playwright-core").BrowserContext} [within] */
  const open = async (module, within) => {
    const context = within ?? (await profile());
    const page = await context.newPage();
    await page.goto(`${origin}/page?${module}`);
    await page.waitForFunction("window.app");
    front.reset();
    return page;
  };
  return {
    open,
    /** The paths that the server was asked for since a page was opened. */
    asked: () => front.seen.map(({ path }) => path),
    move: (/** @type {number} */ seconds) => server.tell({ do: "move", name, seconds }),
  };
}
