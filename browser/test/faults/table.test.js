// @ts-check
/** The table of README.md: every fault is there, and what it names exists. */

import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

const HERE = new URL("./", import.meta.url);
/** Where a file of the table is looked for: in browser/test, then in the repository. */
const ROOMS = [new URL("../", HERE), new URL("../../../", HERE)];

/** @typedef {{who: string, file: ?string, title: string}} Proof */

/** By number. @type {Map<string, Proof[]>} */
const table = new Map();
for (const line of readFileSync(new URL("README.md", HERE), "utf8").split("\n")) {
  const [, fault, proofs] = /^\| (B\d\d) \| .+? \| (.+) \|$/.exec(line) ?? [];
  if (!fault) continue;
  assert.ok(!table.has(fault), `${fault} stands there twice`);
  table.set(fault, proofs.split("<br>").map((text) => {
    const [, who = "", file = null, title = ""] = /^(\w+): (?:`(.+?)` › |none, )(.+)$/.exec(text) ?? [];
    return { who, file, title };
  }));
}

const quoted = (/** @type {string} */ text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

/** Whether a file has a test, a case or a title of that name. @param {string} file @param {string} title */
function has(file, title) {
  const room = ROOMS.find((each) => existsSync(new URL(file, each)));
  if (!room) return false;
  const source = readFileSync(new URL(file, room), "utf8");
  if (file.endsWith(".json")) return source.includes(`"name": ${JSON.stringify(title)}`);
  if (file.endsWith(".py")) return new RegExp(`def ${quoted(title)}\\(`).test(source);
  return new RegExp(`(\\b(test|story)\\(\\s*|const \\w+ = )["\`]${quoted(title)}["\`]`).test(source);
}

test("the table has a row for each of the seventy-three faults, and no other", () => {
  const all = Array.from({ length: 73 }, (_, index) => `B${String(index + 1).padStart(2, "0")}`);
  assert.deepEqual([...table.keys()], all);
});

test("every row says where its fault is tested for fetch and for axios, or why it is not", () => {
  for (const [fault, proofs] of table) {
    const who = proofs.map((proof) => proof.who);
    for (const each of who) assert.match(each, /^(both|fetch|axios|session)$/, `${fault}: who is "${each}"?`);
    if (who.includes("both") || who.includes("session")) continue;
    for (const each of ["fetch", "axios"]) assert.ok(who.includes(each), `${fault} says nothing of ${each}`);
  }
});

test("every test that the table names is there", () => {
  const missing = [...table].flatMap(([fault, proofs]) =>
    proofs.flatMap(({ file, title }) => (file === null || has(file, title) ? [] : `${fault}: ${file} › ${title}`)));
  assert.deepEqual(missing, []);
});

test("every story of this folder is named in the table", () => {
  const named = new Set([...table.values()].flat().map(({ title }) => title));
  for (const file of readdirSync(HERE).filter((name) => name.endsWith(".test.js") && name !== "table.test.js")) {
    const source = readFileSync(new URL(file, HERE), "utf8");
    const found = source.matchAll(/(?:\bstory\(\s*|const (?:title|large) = )["`](.+?)["`][,;]/g);
    const titles = Array.from(found, ([, title]) => title);
    assert.ok(titles.length > 0, `${file} tells no story`);
    assert.deepEqual(titles.filter((title) => !named.has(title)), [], file);
  }
});
