/** The code in docs/browser and in the README is run, word for word, in a page whose server knows the user ada. */

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { skip, stage } from "../cookie/support/stage.js";

const ROOT = new URL("../../../", import.meta.url);
const PAGES = new URL("docs/browser/", ROOT);
const AXIOS = fileURLToPath(new URL("../../node_modules/axios/dist/esm/axios.min.js", import.meta.url));
/** What the blocks of each page print, in order. */
const PRINTED = {
  "README.md": [["ada"]],
  "docs/browser/README.md": [["200"]],
  "docs/browser/axios.md": [["200", "401"]],
  "docs/browser/storage.md": [["200"]],
  "docs/browser/other-apis.md": [["null"]],
  "docs/browser/dialects.md": [["false"], ["false"], ["TypeError /acces_token"], ["401"]],
};
/** Pages whose code is run by tests of their own, beside what they are about. */
const ELSEWHERE = ["streams.md", "frameworks.md"];
const IMPORTS = { evertoken: "/client/index.js", "evertoken/core": "/client/core.js", "evertoken/dialects": "/client/dialects.js", axios: "/axios.js" };

const blocksOf = (name) =>
  [...readFileSync(new URL(name, ROOT), "utf8").matchAll(/^```js\n(.*?)^```$/gms)].map((match) => match[1]);

/** The page under test beside the stage's own, at the same origin. Gives what takes it away again. */
function serve(front, block) {
  const [handle] = front.server.listeners("request");
  const before = (request, response) => {
    if (request.url === "/axios.js") {
      response.setHeader("Content-Type", "text/javascript");
      return response.end(readFileSync(AXIOS));
    }
    if (request.url === "/auth/client.js") {
      response.setHeader("Content-Type", "text/javascript");
      return response.end('export * from "/client/index.js";');
    }
    if (request.url === "/reports") request.url = "/api/reports";
    if (request.url !== "/block") return handle(request, response);
    response.setHeader("Content-Type", "text/html");
    const map = `<script type="importmap">${JSON.stringify({ imports: IMPORTS })}</script>`;
    return response.end(`<!doctype html>${map}<script type="module">${block}\nconsole.info("done");</script>`);
  };
  front.server.off("request", handle).on("request", before);
  return () => front.server.off("request", before).on("request", handle);
}

for (const [name, printed] of Object.entries(PRINTED)) {
  test(`the code of ${name} does what it says`, { skip }, async (t) => {
    const blocks = blocksOf(name);
    assert.equal(blocks.length, printed.length);
    for (const [number, block] of blocks.entries()) {
      const { front, context, base } = await stage(t);
      t.after(serve(front, block));
      const page = await context.newPage();
      const said = [];
      page.on("console", (message) => message.type() === "log" && said.push(message.text()));
      page.on("pageerror", (error) => said.push(`error: ${error.message}`));
      const done = page.waitForEvent("console", { predicate: (message) => message.text() === "done", timeout: 15_000 });
      await page.goto(`${base}/block`);
      await done.catch(() => said.push("not done"));
      assert.deepEqual(said, printed[number], block);
    }
  });
}

test("every page of docs/browser with code is run", () => {
  const pages = readdirSync(PAGES).filter((name) => name.endsWith(".md") && !ELSEWHERE.includes(name));
  const withCode = pages.map((name) => `docs/browser/${name}`).filter((name) => blocksOf(name).length);
  assert.deepEqual(withCode.filter((name) => !(name in PRINTED)), []);
});
