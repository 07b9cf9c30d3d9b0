// @ts-check
/** One origin for a page that runs a guide's code, the modules that it imports, and the server behind both. */

import { readFileSync } from "node:fs";
import http from "node:http";
import { after } from "node:test";

import { chromium } from "playwright-core";

import { executable } from "./chromium.js";
import { Server } from "../support/server.js";

const ROOT = new URL("../../../../", import.meta.url);
const AXIOS = new URL("browser/node_modules/axios/dist/esm/axios.min.js", ROOT);
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

const server = new Server();
/** @type {?Promise<import("playwright-core").Browser>} */
let launching = null;
/** @type {http.Server[]} */
const fronts = [];

after(async () => {
  await (await launching)?.close();
  for (const front of fronts) {
    front.closeAllConnections();
    front.close();
  }
  await server.stop();
});

/**
 * A server of one dialect, and a page in a fresh profile for each module that it is asked to run.
 * @param {import("node:test").TestContext} t
 * @param {string} dialect
 * @param {Record<string, string>} modules their texts by path
 */
export async function stage(t, dialect, modules) {
  let target = 0;
  /** The paths that the server was asked for. @type {string[]} */
  const asked = [];
  const front = http.createServer((request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://front");
    const text = modules[pathname] ?? ownText(pathname);
    if (text !== null) {
      response.setHeader("Content-Type", pathname === "/page" ? "text/html" : "text/javascript");
      return response.end(text);
    }
    asked.push(pathname);
    const { method, headers, url: path } = request;
    const onward = http.request({ host: "127.0.0.1", port: target, method, path, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    onward.on("error", () => response.destroy());
    return request.pipe(onward);
  });
  await new Promise((resolve) => front.listen(0, "127.0.0.1", () => resolve(null)));
  fronts.push(front);
  const { port } = /** @type {import("node:net").AddressInfo} */ (front.address());
  const origin = `http://127.0.0.1:${port}`;
  const name = `guide ${dialect} ${port}`;
  target = await server.open({ name, dialect, issuer: origin, page: origin, overlap: 60 });

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
    asked.length = 0;
    return page;
  };
  return { open, asked, move: (/** @type {number} */ seconds) => server.tell({ do: "move", name, seconds }) };
}

/** @param {string} path @returns {?string} what the front serves itself */
function ownText(path) {
  if (path === "/page") return PAGE;
  if (path === "/axios.js") return readFileSync(AXIOS, "utf8");
  const module = /^\/client\/((?:\w+\/)?\w+\.js)$/.exec(path);
  return module ? readFileSync(new URL(`browser/src/${module[1]}`, ROOT), "utf8") : null;
}
