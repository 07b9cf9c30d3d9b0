// @ts-check
/** The day on which a set-up's interceptors are replaced by evertoken's client: nobody is asked to sign in again. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { DAY, MINUTE, SETUPS, skip, stage, words } from "./support/stage.js";

/** @typedef {import("./support/stage.js").Tab} Tab */

/** What a script of the page finds in both storages. @param {Tab} tab */
const kept = ({ page }) => page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }]));

for (const [dialect, { title, login }] of Object.entries(SETUPS)) {
  test(`users whom set-up ${title} has signed in stay so when its interceptors are replaced`, { skip, timeout: 60_000 }, async (t) => {
    const { front, tab, move, place, refreshes } = await stage(t, dialect, "setup");
    await tab.open();
    assert.equal(await tab.enter(), null);
    assert.match(await kept(tab), /eyJ/, "it was looked in the right place");

    place("replaced");
    await tab.open();
    assert.deepEqual(words([await tab.call("/bbb")]), [200]);
    assert.ok(refreshes() <= 1, `${refreshes()} refreshes`);
    assert.doesNotMatch(await kept(tab), /eyJ|etr_/, "no token is left where any script can read it");

    await move(31 * MINUTE);
    const before = refreshes();
    await tab.startAll(["/bbb/1", "/bbb/2", "/bbb/3"]);
    assert.deepEqual(words(await tab.ended(["/bbb/1", "/bbb/2", "/bbb/3"])), [200, 200, 200]);
    assert.equal(refreshes(), before + 1);

    await tab.open();
    assert.deepEqual(words([await tab.call("/bbb")]), [200], "what was taken over outlives a reload");
    assert.equal(front.of(login).length, 1, "nobody has signed in twice");

    await move(8 * DAY);
    await tab.start("/bbb/late");
    await tab.atLogin();
    assert.equal(await tab.enter(), null);
    assert.deepEqual(words([await tab.call("/bbb")]), [200]);
    assert.deepEqual(tab.thrown, []);
  });
}

test("users whose access token has expired by the day of the change are taken over, too", { skip, timeout: 60_000 }, async (t) => {
  const { front, tab, move, place, refreshes } = await stage(t, "nest", "setup");
  await tab.open();
  assert.equal(await tab.enter(), null);
  await move(31 * MINUTE);
  place("replaced");
  await tab.open();
  assert.deepEqual(words([await tab.call("/bbb")]), [200]);
  assert.deepEqual([refreshes(), front.of("/user/login").length], [1, 1]);
});

test("visitors whom the set-up never signed in, or has signed out, are taken over as nobody", { skip, timeout: 60_000 }, async (t) => {
  const { front, tab, place } = await stage(t, "nest", "replaced");
  await tab.open();
  assert.equal(await tab.page.evaluate(() => /** @type {any} */ (window).app.isAtLogin()), true);
  for (const nothing of ["", "undefined", "null", "not a token"]) {
    place("setup");
    await tab.open();
    await tab.page.evaluate((text) => {
      localStorage.setItem("access_token", text);
      localStorage.setItem("refresh_token", text);
    }, nothing);
    place("replaced");
    await tab.open();
    assert.equal(await tab.page.evaluate(() => /** @type {any} */ (window).app.isAtLogin()), true, nothing);
  }
  assert.deepEqual(front.seen, [], "and the server is asked nothing");
});

test("tokens that an old page has left behind do not take the place of a session", { skip, timeout: 60_000 }, async (t) => {
  const { front, tab, place } = await stage(t, "nest", "setup");
  await tab.open();
  assert.equal(await tab.enter(), null);
  const old = await tab.page.evaluate(() => ({ ...localStorage }));
  place("replaced");
  await tab.open();
  assert.equal(await tab.enter(), null, "she signs in anew, for whatever reason");
  await tab.page.evaluate((items) => Object.entries(items).forEach(([name, text]) => localStorage.setItem(name, text)), old);
  await tab.open();
  assert.deepEqual(words([await tab.call("/bbb")]), [200]);
  const [{ token }] = front.of("/bbb");
  assert.notEqual(token, `Bearer ${old.access_token}`);
});

test("two tabs that are loaded at once take over one session, and share its refreshes", { skip, timeout: 60_000 }, async (t) => {
  const { tab, another, move, place, refreshes } = await stage(t, "nest", "setup");
  await tab.open();
  assert.equal(await tab.enter(), null);
  await move(31 * MINUTE);
  const other = await another();
  place("replaced");
  await Promise.all([tab.page.reload(), other.page.reload()]);
  await Promise.all([tab.ready(), other.ready()]);
  await Promise.all([tab.start("/bbb/1"), other.start("/bbb/2")]);
  assert.deepEqual(words([...(await tab.ended(["/bbb/1"])), ...(await other.ended(["/bbb/2"]))]), [200, 200]);
  assert.equal(refreshes(), 1);
});

test("the page that tells of it has the lines that stand in the changed set-up", () => {
  const page = readFileSync(new URL("../../../docs/dialects/compared.md", import.meta.url), "utf8");
  const code = readFileSync(new URL("setups/replaced/get_refresh.js", import.meta.url), "utf8").replace("/client/index.js", "evertoken");
  const blocks = page.match(/(?<=^```js\n).*?(?=^```$)/gms) ?? [];
  const lines = blocks.flatMap((block) => block.split("\n"));
  assert.ok(lines.length > 5);
  assert.deepEqual(lines.filter((line) => !code.split("\n").includes(line)), []);
});

/** `adopt` with what it is given, in a page that has a session. @param {Tab} tab @param {object} kept */
const adopt = ({ page }, kept) =>
  page.evaluate(async (given) => {
    const { adopt: take } = await import(/** @type {any} */ ("/client/index.js"));
    return take(/** @type {any} */ (window).app.session, given).catch((/** @type {Error} */ { name, message }) => `${name}: ${message}`);
  }, kept);

test("an access token that is taken over with its lifetime is renewed at its end, and not sent past it", { skip, timeout: 60_000 }, async (t) => {
  const { front, tab, place, refreshes } = await stage(t, "nest", "setup");
  await tab.open();
  assert.equal(await tab.enter(), null);
  const { access_token, refresh_token } = await tab.page.evaluate(() => /** @type {any} */ ({ ...localStorage }));
  place("axios");
  await tab.open();
  assert.equal(await adopt(tab, { access_token, refresh_token, expires_in: 0 }), true);
  assert.deepEqual(words([await tab.call("/bbb")]), [200]);
  assert.equal(refreshes(), 1);
  assert.ok(front.seen.every(({ token }) => token !== `Bearer ${access_token}`), "the old token was not sent");
});

test("where a cookie holds the refresh token, there is none to be taken over, and the application is told", { skip, timeout: 60_000 }, async (t) => {
  const { front, tab } = await stage(t, "cookie-envelope", "axios");
  await tab.open();
  const { length } = front.seen;
  const told = await adopt(tab, { access_token: null, refresh_token: "etr_of_somebody" });
  assert.match(told, /^TypeError: the refresh token is in a cookie .* session\.restore\(\) finds it$/);
  assert.equal(front.seen.length, length);
});
