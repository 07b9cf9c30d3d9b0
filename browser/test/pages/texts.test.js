/** The pages' words, without a browser: the same in both languages, and there wherever a page asks for them. */

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";

const STATIC = fileURLToPath(new URL("../../../src/evertoken/web/static/", import.meta.url));
const files = readdirSync(STATIC, { recursive: true }).map((file) => path.join(STATIC, file));
const english = files.filter((file) => file.endsWith(`texts${path.sep}en.js`));

const load = async (file) => import(pathToFileURL(file).href);
const both = async (file) => [(await load(file)).en, (await load(file.replace(/en\.js$/, "zh.js"))).zh];

/** A text with marks for its values, so that one sees which it shows. */
const spoken = (text) => (typeof text === "function" ? text("<1>", "<2>", "<3>") : text);

test("every page has the same texts in English and in Chinese", async () => {
  assert.ok(english.length >= 2, "the shell's and the pages'");
  for (const file of english) {
    const [en, zh] = await both(file);
    assert.deepEqual(Object.keys(zh), Object.keys(en), file);
    for (const key of Object.keys(en)) {
      assert.equal(typeof zh[key], typeof en[key], key);
      if (typeof en[key] === "function") assert.equal(zh[key].length, en[key].length, `${key} takes the same values`);
      assert.match(spoken(zh[key]), /[\u3400-\u9fff]|^[^a-z]*$/, `${key} is translated`);
      assert.doesNotMatch(spoken(en[key]), /[\u3000-\u9fff\uff00-\uffef]/, `${key} is English`);
      assert.doesNotMatch(spoken(zh[key]), /[\u3400-\u9fff][,;:?!]/, `${key} has Chinese punctuation`);
    }
  }
});

test("every text that a page asks for by name is there", async () => {
  const keys = new Set();
  for (const file of english) for (const key of Object.keys((await both(file))[0])) keys.add(key);
  let asked = 0;
  for (const file of files.filter((each) => each.endsWith(".js"))) {
    for (const [, key] of readFileSync(file, "utf8").matchAll(/\bt\(\s*"([^"]+)"/g)) {
      asked += 1;
      assert.ok(keys.has(key) || file.endsWith("i18n.js"), `${path.relative(STATIC, file)} asks for ${key}`);
    }
  }
  assert.ok(asked > 20);
});
