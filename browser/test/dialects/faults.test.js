// @ts-check
/**
 * Fourteen faults of the published set-ups, each as one situation: what the set-up does in it is written down in
 * docs/dialects/compared.md, and evertoken's client, in the same page and with the same dialect, does right.
 */

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";

import { REFRESHING } from "./support/cases.js";
import { REQUESTS } from "./support/requests.js";
import { SETUPS, skip, stage } from "./support/stage.js";

const DOCS = new URL("../../../docs/dialects/compared.md", import.meta.url);
const FAULTS = [...REFRESHING, ...REQUESTS].sort((one, other) => one.number - other.number);

/** What each set-up was seen to do. @type {Map<string, string>} */
const seen = new Map();

for (const { title, dialects, isAlone, isMixed, play, tell, isRight, ours } of FAULTS) {
  test(`${title}: ${ours}`, { skip, timeout: 120_000 }, async (t) => {
    for (const dialect of dialects) {
      await t.test(`${dialect}, as published`, async (story) => {
        seen.set(`${title} ${dialect}`, tell(await play(await stage(story, dialect, "setup", { isAlone }))));
      });
      for (const kind of /** @type {("mixed" | "axios" | "fetch")[]} */ (isMixed ? ["mixed"] : ["axios", "fetch"])) {
        await t.test(`${dialect}, evertoken's client ${isMixed ? "by axios and fetch" : `by ${kind}`}`, async (story) => {
          isRight(await play(await stage(story, dialect, kind, { isAlone })), dialect, kind);
        });
      }
    }
  });
}

/** The part of the page that is held to what was seen. */
function table() {
  return FAULTS.map(({ number, title, dialects, ours }) => {
    const rows = dialects.map((dialect) => `| ${SETUPS[dialect].title} | ${seen.get(`${title} ${dialect}`)} |`);
    return [`### ${number}. ${title[0].toUpperCase()}${title.slice(1)}`, "", `evertoken's client: ${ours}.`, "",
      "| set-up | as published |", "|---|---|", ...rows].join("\n");
  }).join("\n\n");
}

test("the page on the published set-ups says what was seen of each", { skip }, () => {
  const page = readFileSync(DOCS, "utf8");
  const [before, , after] = page.split(/(?<=<!-- seen -->\n)([^]*)(?=\n<!-- end -->)/);
  const expected = `${before}\n${table()}\n${after}`;
  if (process.env.EVERTOKEN_WRITE_SEEN) writeFileSync(DOCS, expected);
  else assert.equal(page, expected, "run this file with EVERTOKEN_WRITE_SEEN=1 once what is new has been judged");
});
