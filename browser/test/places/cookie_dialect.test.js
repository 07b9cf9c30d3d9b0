/** A dialect whose refresh token is in a cookie, in real tabs: with a CSRF token in the answer, and in a readable cookie. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { DIALECTS } from "../../src/dialects.js";
import { skip, stage } from "../chromium/support/stage.js";
import { Speaker } from "../dialects/support/speaker.js";

const { csrf_token, ...withoutIt } = DIALECTS["cookie-envelope"].tokens;
/** By what tells the page the CSRF token. */
const VARIANTS = {
  "the answer and a call of its own": DIALECTS["cookie-envelope"],
  "a cookie that scripts can read": {
    ...DIALECTS["cookie-envelope"], csrf: { header: "X-XSRF-TOKEN", cookie: "XSRF-TOKEN" }, tokens: withoutIt,
  },
};

/** An API of the page's own origin, and tabs of it. */
async function begun(t, dialect) {
  const { context, tab: open } = await stage(t);
  const api = new Speaker(dialect);
  const url = await api.listen(t);
  await context.route(`${url}/page`, async (route) => route.fulfill({ contentType: "text/html", body: "<!doctype html><title>a page</title>" }));
  const first = await open();
  const origin = new URL(first.url()).origin;
  await context.route(`${url}/client/**`, async (route) => route.fulfill({ response: await route.fetch({ url: route.request().url().replace(url, origin) }) }));
  const tab = async () => {
    const page = await context.newPage();
    await page.goto(`${url}/page`);
    await page.evaluate(async (document) => {
      const { createSession } = await import("/client/index.js");
      window.events = [];
      window.session = createSession({ dialect: document, timeoutSeconds: 5 });
      session.addEventListener("signedout", ({ reason }) => events.push(reason));
      window.ask = () => session.fetch("/x").then((answer) => answer.json()).then(({ who }) => who, ({ code }) => code);
    }, dialect);
    return page;
  };
  return { api, tab, context, url };
}

for (const [how, dialect] of Object.entries(VARIANTS)) {
  test(`with a refresh cookie, and the CSRF token in ${how}, three calls in each of two tabs make one refresh`, { skip }, async (t) => {
    const { api, tab: open, context, url } = await begun(t, dialect);
    const tab = await open();
    assert.equal(await tab.evaluate(() => session.restore()), false);
    await tab.evaluate(() => session.login({ username: "ada", password: "right" }));
    const tabs = [tab, await open()];
    assert.equal(await tabs[1].evaluate(() => session.restore()), true);
    api.isExpired = true;
    const answers = await Promise.all(tabs.map((each) => each.evaluate(() => Promise.all([ask(), ask(), ask()]))));
    assert.deepEqual(answers.flat(), Array(6).fill("ada"));
    assert.equal(api.calls.filter((call) => call === "refresh").length, 1);
    const stored = await tab.evaluate(
      () =>
        new Promise((resolve) => {
          indexedDB.open("evertoken").onsuccess = ({ target: { result } }) => {
            result.transaction("session").objectStore("session").get("document").onsuccess = (event) => {
              result.close();
              resolve(JSON.parse(event.target.result));
            };
          };
        }),
    );
    assert.deepEqual([stored.access_token, stored.refresh_token], [null, "c-1"], "no token is written down but the CSRF token");

    // The storage is gone, the cookie is not.
    await tab.evaluate(() => new Promise((resolve) => (indexedDB.deleteDatabase("evertoken").onsuccess = resolve)));
    const again = await open();
    assert.equal(await again.evaluate(() => session.restore()), true);
    assert.equal(await again.evaluate(() => ask()), "ada");
    await again.evaluate(() => session.logout());
    assert.deepEqual([api.isSignedIn, await again.evaluate(() => ask())], [false, "signed_out"]);
    assert.deepEqual((await context.cookies(url)).filter(({ httpOnly }) => httpOnly).length, 1);
  });

  test(`with a refresh cookie, and the CSRF token in ${how}, a refused refresh is the end`, { skip }, async (t) => {
    const { api, tab: open } = await begun(t, dialect);
    const tab = await open();
    await tab.evaluate(() => session.login({ username: "ada", password: "right" }));
    api.isExpired = true;
    api.fault = "over";
    assert.deepEqual(await tab.evaluate(() => Promise.all([ask(), ask()])), ["signed_out", "signed_out"]);
    await tab.evaluate(() => session.login({ username: "ada", password: "right" }));
    assert.equal(await tab.evaluate(() => ask()), "ada");
  });
}
