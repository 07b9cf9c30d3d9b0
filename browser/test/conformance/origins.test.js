// @ts-check
/** The cases of conformance/origins.json: which URLs get the access token. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { BadCase, cases, whole } from "../../driver/loading.js";
import { Home } from "../../src/decide/origins.js";

/** @type {Map<string, Home>} */
const homes = new Map();
/** @type {string[]} */
const notHomes = [];

const urls = cases(
  "origins.json",
  (each) => {
    const home = homes.get(each.take("home", "string"));
    if (!home) throw new BadCase(`${each.where}: does not know the home`);
    const covered = each.take("covered", "boolean");
    // fetch sends by the parser that Home has asked.
    return { home, url: each.take("url", "string"), isCovered: each.take("covered_by_whatwg", "boolean", covered) };
  },
  (file) => {
    notHomes.push(...file.take("not_a_home", "list"));
    for (const [name, value] of Object.entries(file.take("homes", "object"))) {
      const home = whole(value, name, (members) => {
        const baseURL = members.take("base_url", "string");
        const made = new Home(baseURL, members.take("origins", "list", []));
        made.leaveOut(members.take("own_calls", "list", []));
        return made;
      });
      homes.set(name, home);
    }
  },
);

for (const { name, home, url, isCovered } of urls) {
  test(name, () => {
    assert.equal(home.covers(url), isCovered);
    // A Request is asked by what the parser has made of the URL.
    if (URL.canParse(url)) assert.equal(home.covers(new URL(url).href), isCovered);
  });
}

for (const url of notHomes) {
  test(`${url || "nothing"} is no base URL`, () => {
    assert.throws(() => new Home(url), TypeError);
    assert.throws(() => new Home("https://api.example.com", [url]), TypeError);
    assert.throws(() => new Home("https://api.example.com").leaveOut([url]), TypeError);
  });
}
