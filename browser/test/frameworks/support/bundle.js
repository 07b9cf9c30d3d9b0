// @ts-check
/** A page whose script is bundled with a real framework, as an application's own build does it. */

import { fileURLToPath } from "node:url";

import { build } from "esbuild";

/**
 * @param {string} contents of the page's script; imports are seen from the tests' folder
 * @returns {Promise<string>}
 */
export async function bundled(contents) {
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: new URL("../", import.meta.url).pathname },
    bundle: true,
    format: "esm",
    target: "es2022",
    alias: Object.fromEntries(
      ["", "/react", "/vue"].map((name) => [
        `evertoken${name}`,
        fileURLToPath(new URL(`../../../src${name || "/index"}.js`, import.meta.url)),
      ]),
    ),
    // StrictMode mounts twice in development only.
    define: {
      "process.env.NODE_ENV": '"development"',
      __VUE_OPTIONS_API__: "true",
      __VUE_PROD_DEVTOOLS__: "false",
      __VUE_PROD_HYDRATION_MISMATCH_DETAILS__: "true",
    },
    write: false,
  });
  return outputFiles[0].text;
}

/** What both frameworks' pages begin with: a session whose restores are counted, and what is drawn. */
export const COMMON = `
  import { createSession, indexedDBStore } from "../../src/index.js";
  const settings = location.search.includes("cookie") ? {} : { store: indexedDBStore() };
  export const session = (window.session = createSession(settings));
  window.restores = 0;
  const restore = session.restore.bind(session);
  session.restore = () => (window.restores += 1, restore());
  window.renders = 0;
  window.tiles = [];
  export const fetchTile = () => tiles.push(session.fetch("/tile").then(({ status }) => status, (error) => error.message));
  export const said = ({ status, reason, user }) => [status, reason, user?.account].filter(Boolean).join(" ");
`;

/** @param {string} html */
export const page = (html = "") =>
  `<!doctype html><title>frameworks</title><main id="app">${html}</main><script type="module" src="/app.js"></script>`;

/** Wait until the page says so. @param {import("playwright-core").Page} tab @param {string} text */
export const says = (tab, text) =>
  tab.waitForFunction((wanted) => document.querySelector("#app")?.textContent === wanted, text).catch(async () => {
    throw new Error(`the page says ${await tab.textContent("#app")} instead of ${text}`);
  });
