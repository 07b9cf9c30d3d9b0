// @ts-check
/** The code in docs/dialects/guides is run, word for word, in Chromium, before a server that speaks the dialect. */

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

import { stage } from "./guides/stage.js";
import { executable, skip } from "./support/chromium.js";

const DOCUMENTS = new URL("../../../src/evertoken/wire/dialects/documents/", import.meta.url);
const GUIDES = new URL("../../../docs/dialects/guides/", import.meta.url);
const MINUTE = 60;

/** @typedef {import("playwright-core").Page} Page */

const names = (/** @type {URL} */ folder, /** @type {string} */ ending) =>
  readdirSync(folder).filter((name) => name.endsWith(ending)).map((name) => name.slice(0, -ending.length));

/** @param {string} name */
const read = (name) => readFileSync(new URL(`${name}.md`, GUIDES), "utf8");

/** @param {string} text @returns {string[]} */
const blocksOf = (text) => [...text.matchAll(/^```js\n(.*?)^```$/gms)].map((match) => match[1]);

/** @param {Page} page @param {string[]} paths @returns {Promise<string[]>} */
const get = (page, ...paths) =>
  page.evaluate((all) => Promise.all(all.map((path) => /** @type {any} */ (window).app.get(path))), paths);

/** @param {Page} page */
const signIn = (page) => page.evaluate(() => /** @type {any} */ (window).app.signIn("ada", "correct-horse-battery"));

test("every dialect but evertoken's own has a guide", () => {
  assert.deepEqual(names(GUIDES, ".md").sort(), names(DOCUMENTS, ".json").filter((name) => name !== "evertoken").sort());
});

for (const name of names(GUIDES, ".md")) {
  test(`the interceptors that the guide to ${name} begins with, and the lines that replace them, renew in silence`, { skip, timeout: 90_000 }, async (t) => {
    assert.ok(executable);
    const [before, after, ...more] = blocksOf(read(name));
    assert.deepEqual(more, [], "a guide has two blocks of code");
    const document = JSON.parse(readFileSync(new URL(`${name}.json`, DOCUMENTS), "utf8"));
    const { open, asked, move } = await stage(t, name, { "/before.js": before, "/after.js": after });
    const refreshes = () => asked().filter((path) => path === document.refresh.url).length;

    for (const module of ["/before.js", "/after.js"]) {
      const page = await open(module);
      assert.deepEqual(await get(page, "/aaa"), module === "/before.js" ? ["/aaa"] : ["signed_out"], module);
      await signIn(page);
      assert.deepEqual(await get(page, "/bbb"), ["/bbb"]);
      assert.equal(refreshes(), 0);
      await move(31 * MINUTE);
      assert.deepEqual(await get(page, "/bbb"), ["/bbb"], `${module}: the access token has expired, and nobody notices`);
      assert.equal(refreshes(), 1);
      await move(31 * MINUTE);
      assert.deepEqual(await get(page, "/bbb/1", "/bbb/2", "/bbb/3"), ["/bbb/1", "/bbb/2", "/bbb/3"]);
      if (module !== "/after.js") {
        if (!after.includes("adopt(")) continue;
        await page.goto(page.url().replace("/before.js", "/after.js"));
        await page.waitForFunction("window.app");
        assert.deepEqual(await get(page, "/bbb"), ["/bbb"], "nobody signs in anew for the lines that replace the interceptors");
        continue;
      }
      assert.equal(refreshes(), 2, "three calls at once make one refresh");
      await page.evaluate(() => void (/** @type {any} */ (window).app.signOut()));
      await page.waitForURL(({ href }) => href.endsWith("/login"));
    }
  });
}

test("whoever signed in with the interceptors of cookie-envelope is still signed in when they have been replaced", { skip, timeout: 60_000 }, async (t) => {
  const [before, after] = blocksOf(read("cookie-envelope"));
  const { open, asked } = await stage(t, "cookie-envelope", { "/before.js": before, "/after.js": after });
  const page = await open("/before.js");
  await signIn(page);
  const later = await open("/after.js", page.context());
  assert.equal(await later.evaluate(() => /** @type {any} */ (window).app.session.restore()), true);
  assert.deepEqual(await get(later, "/bbb"), ["/bbb"]);
  assert.ok(!asked().includes("/api/Auth/Login"));
});
