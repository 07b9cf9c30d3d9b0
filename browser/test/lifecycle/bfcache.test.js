/** The back button: a page comes back as it was, with tokens in memory that may be nobody's any more. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { answerOf, ask, begin, signedOutEvents, signIn } from "../chromium/support/stage.js";
import { pass, skip, tabsOn, withMovedClock } from "./support/tabs.js";

/** In a tab's prepare: a page that shows its user's data as soon as it is shown. */
const withEagerPage = (tab) =>
  tab.evaluateOnNewDocument(() => {
    addEventListener("pageshow", ({ persisted }) => {
      window.isRestored = persisted;
      if (persisted) window.pending = window.ask("/data");
    });
  });

async function prepare(tab) {
  await withMovedClock(tab);
  await withEagerPage(tab);
}

/** In a tab's prepare: a browser in which tabs cannot tell each other anything. */
async function prepareAlone(tab) {
  await prepare(tab);
  await tab.evaluateOnNewDocument(() => delete window.BroadcastChannel);
}

/** A tab that has gone elsewhere and can come back, and another one of the same user. */
async function leftBehind(t, settings, how = prepare) {
  const around = await tabsOn(t, settings);
  const other = await around.open(how);
  const tab = await around.open(how);
  assert.equal(await signIn(tab), null);
  for (const each of [tab, other]) assert.equal((await ask(each, "/warm")).status, 200);
  await tab.goto(`${around.front.url}/elsewhere`);
  /** Whether the page is the one that was left, rather than a new one. */
  const back = async () => {
    await tab.goBack();
    await tab.waitForFunction("window.isReady");
    return tab.evaluate(() => window.isRestored);
  };
  return { ...around, tab, other, back };
}

const leave = (tab) => tab.evaluate(() => session.logout().then(() => null, tell));

test("back on a page whose user has signed out since, nothing is asked with the old tokens", { skip }, async (t) => {
  const { server, front, tab, other, back } = await leftBehind(t, {}, prepareAlone);
  assert.equal(await leave(other), null);
  assert.equal(await back(), true);
  const told = await answerOf(tab);
  assert.deepEqual([told.code, told.reason], ["signed_out", "signed_out"]);
  assert.equal(front.of("/data").length, 0);
  assert.deepEqual(await signedOutEvents(tab), ["signed_out"]);
  assert.equal(await server.refreshes(), 0);
});

test("back on a page where somebody else has signed in since, nothing is asked for either of them", { skip },
  async (t) => {
    const { front, tab, other, back } = await leftBehind(t, {}, prepareAlone);
    assert.equal(await leave(other), null);
    assert.equal(await signIn(other, "bob"), null);
    assert.equal(await back(), true);
    assert.equal((await answerOf(tab)).code, "signed_out");
    assert.equal(front.of("/data").length, 0);
    assert.equal((await signedOutEvents(tab)).length, 1);
    assert.equal((await ask(other, "/bob")).subject, "bob");
  });

test("a page that was left is not kept for the back button once its user has signed out in another tab", { skip },
  async (t) => {
    // Chromium drops a page that hears of something while it is kept, and the page is loaded anew.
    const { front, tab, other, back } = await leftBehind(t);
    assert.equal(await leave(other), null);
    assert.equal(await back(), false);
    assert.equal(await tab.evaluate(() => session.restore()), false);
    assert.equal((await ask(tab, "/data")).code, "signed_out");
    assert.equal(front.of("/data").length, 0);
  });

test("back on a page whose user is still signed in, its requests are answered as before", { skip }, async (t) => {
  const { server, tab, back } = await leftBehind(t, { rotation: "strict" });
  assert.equal(await back(), true);
  assert.equal((await answerOf(tab)).status, 200);
  assert.equal(await server.refreshes(), 0);
  assert.deepEqual(await signedOutEvents(tab), []);
});

test("back on a page after an hour, it goes on with what the other tab has got meanwhile", { skip }, async (t) => {
  const { server, tab, other, back } = await leftBehind(t, { rotation: "strict" }, prepareAlone);
  await server.move(3600);
  await pass(other, 3600);
  assert.equal((await ask(other, "/x")).status, 200);
  assert.equal(await server.refreshes(), 1);
  assert.equal(await back(), true);
  assert.equal((await answerOf(tab)).status, 200);
  assert.equal(await server.refreshes(), 1);
  assert.equal(await server.reuses(), 0);
});

test("a page that is left in mid-refresh signs nobody out, and goes on when its user comes back", { skip }, async (t) => {
  const { server, front, open } = await tabsOn(t);
  const other = await open();
  const tab = await open();
  assert.equal(await signIn(tab), null);
  for (const each of [tab, other]) assert.equal((await ask(each, "/warm")).status, 200);
  await server.expire();
  await server.hold();
  await begin(tab, "/x");
  await server.awaitHeld();
  await begin(other, "/x");
  await tab.goto(`${front.url}/elsewhere`);
  await server.release();
  assert.equal((await answerOf(other)).status, 200);
  await tab.goBack();
  await tab.waitForFunction("window.isReady");
  assert.equal((await ask(tab, "/x")).status, 200);
  assert.equal(await server.reuses(), 0);
  for (const each of [tab, other]) assert.deepEqual(await signedOutEvents(each), []);
});
