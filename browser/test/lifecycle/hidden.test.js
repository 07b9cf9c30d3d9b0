/** Hidden tabs: their timers run once a minute at best, their requests are answered like any other's. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { ask, askMany, signIn, signedOutEvents, statuses } from "../chromium/support/stage.js";
import { idle, pass, skip, tabsOn, visibility, withMovedClock } from "./support/tabs.js";

/** So many tabs of one user, the last one in front. */
async function signedIn(open, count, prepare) {
  const tabs = [];
  for (let made = 0; made < count; made += 1) tabs.push(await open(prepare));
  assert.equal(await signIn(tabs[0]), null);
  for (const tab of tabs) assert.equal((await ask(tab, "/warm")).status, 200);
  return tabs;
}

test("requests of hidden tabs are answered, with one refresh for them and the tab in front", { skip }, async (t) => {
  const { server, open } = await tabsOn(t, { rotation: "strict" });
  const tabs = await signedIn(open, 5);
  assert.deepEqual(await Promise.all(tabs.map(visibility)), ["hidden", "hidden", "hidden", "hidden", "visible"]);
  for (let trial = 0; trial < 8; trial += 1) {
    const { refreshes: before } = await server.expire();
    const answers = await Promise.all(tabs.map((tab) => askMany(tab, 4)));
    assert.deepEqual(statuses(answers.flat()), Array(20).fill(200), `trial ${trial}`);
    assert.equal((await server.refreshes()) - before, 1, `trial ${trial}`);
  }
  assert.equal(await server.reuses(), 0);
});

test("requests of hidden tabs alone are answered, with one refresh for all of them", { skip }, async (t) => {
  const { server, open } = await tabsOn(t, { rotation: "strict" });
  const tabs = (await signedIn(open, 4)).slice(0, 3);
  for (let trial = 0; trial < 5; trial += 1) {
    const { refreshes: before } = await server.expire();
    const answers = await Promise.all(tabs.map((tab) => askMany(tab, 4)));
    assert.deepEqual(statuses(answers.flat()), Array(12).fill(200), `trial ${trial}`);
    assert.equal((await server.refreshes()) - before, 1, `trial ${trial}`);
  }
});

test("a hidden tab that asks nothing sends nothing in twelve hours", { skip }, async (t) => {
  const { front, open } = await tabsOn(t, { rotation: "strict" });
  const [hidden] = await signedIn(open, 2);
  const sent = front.seen.length;
  const before = await hidden.evaluate(() => Date.now());
  await idle(hidden, 12);
  assert.equal(await visibility(hidden), "hidden");
  const [hours, tokens] = await hidden.evaluate((from) => [(Date.now() - from) / 3_600_000, window.tokens], before);
  assert.ok(hours >= 12, `only ${hours} h went by in the tab`);
  assert.equal(tokens, 1, "it renewed nothing");
  assert.equal(front.seen.length, sent);
});

test("a tab that is shown renews once if that is due, before anything is asked", { skip }, async (t) => {
  const { server, front, open } = await tabsOn(t, { rotation: "strict" });
  const [hidden] = await signedIn(open, 2, withMovedClock);
  const asked = front.seen.length;
  await pass(hidden, 3600);
  const isRenewed = hidden.waitForFunction("tokens === 2", { polling: 50, timeout: 5000 });
  await hidden.bringToFront();
  await isRenewed;
  assert.deepEqual(front.seen.slice(asked).map(({ path }) => path), ["/auth/refresh"]);
  assert.equal((await ask(hidden, "/x")).status, 200);
  assert.equal(await server.refreshes(), 1);
});

test("a tab that is shown while its token is fresh sends nothing", { skip }, async (t) => {
  const { front, open } = await tabsOn(t, { rotation: "strict" });
  const [first, second] = await signedIn(open, 2, withMovedClock);
  const sent = front.seen.length;
  for (const tab of [first, second, first, second, first]) {
    const isShown = tab.waitForFunction("document.visibilityState === 'visible'", { polling: 20, timeout: 5000 });
    await tab.bringToFront();
    await isShown;
  }
  // An answer after whatever the events have started: what it would have sent has been sent by then.
  assert.equal((await ask(first, "/x")).status, 200);
  assert.equal(front.seen.length, sent + 1);
});

test("a tab that is shown after its session has ended elsewhere gets one signedout event", { skip }, async (t) => {
  const { server, open } = await tabsOn(t);
  const [hidden, front] = await signedIn(open, 2, withMovedClock);
  assert.equal(await front.evaluate(() => session.logout().then(() => null, tell)), null);
  await pass(hidden, 3600);
  const isTold = hidden.waitForFunction("events.length > 0", { polling: 50, timeout: 5000 });
  await hidden.bringToFront();
  await isTold;
  assert.deepEqual(await signedOutEvents(hidden), ["signed_out"]);
  assert.equal(await server.refreshes(), 0);
});
