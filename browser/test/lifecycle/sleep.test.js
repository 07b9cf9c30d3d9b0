/** Sleep and wake: a lid that is closed for an hour, a night, or in the middle of a refresh. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { answerOf, ask, askMany, begin, signedOutEvents, signIn, statuses, stored }
  from "../chromium/support/stage.js";
import { clocksOn, online, polls } from "./support/clocks.js";
import { holdReads, within } from "./support/rig.js";
import { skip, tabsOn, tree } from "./support/tabs.js";

const HOUR = 3600;
/** Whether timers know of the sleep differs between machines. */
const WAYS = [["wakes after an hour", "sleeps"], ["was busy elsewhere for an hour", "passes"]];

for (const [what, how] of WAYS) {
  test(`the first requests of a page that ${what} are answered, with one refresh`, { skip }, async (t) => {
    const around = await clocksOn(t, { rotation: "strict" });
    const tabs = [await around.open(), await around.open()];
    assert.equal(await signIn(tabs[0]), null);
    for (const tab of tabs) assert.equal((await ask(tab, "/warm")).status, 200);
    for (let time = 1; time <= 3; time += 1) {
      await around[how](HOUR + 1);
      const answers = await Promise.all(tabs.map((tab) => askMany(tab, 5)));
      assert.deepEqual(statuses(answers.flat()), Array(10).fill(200));
      assert.equal(await around.server.refreshes(), time);
    }
    assert.equal(await around.server.reuses(), 0);
    for (const tab of tabs) assert.deepEqual(await signedOutEvents(tab), []);
  });
}

/** Tiles of a dashboard: so many pollers in each tab, every minute. */
const tiles = (tab, count) =>
  tab.evaluate((many) => Array.from({ length: many }, (_, tile) => poll(`/tile/${tile}`, 60_000)), count);

test("twelve pollers of three tabs that wake together make one refresh", { skip }, async (t) => {
  const { server, front, open, passes } = await clocksOn(t, { rotation: "strict" });
  const tabs = [await open(), await open(), await open()];
  assert.equal(await signIn(tabs[0]), null);
  for (const tab of tabs) {
    assert.equal((await ask(tab, "/warm")).status, 200);
    await tiles(tab, 4);
  }
  await passes(HOUR + 1);
  for (const tab of tabs) assert.deepEqual(statuses(await polls(tab, 4)), Array(4).fill(200));
  assert.equal(await server.refreshes(), 1);
  assert.equal(await server.reuses(), 0);
  const asked = front.seen.filter(({ path }) => path.startsWith("/tile/")).length;
  assert.ok(asked <= 24, `each was sent at most twice, but ${asked} were seen`);
});

test("pollers that wake before the network keep their user signed in, and go on when it is there", { skip },
  async (t) => {
    const { server, context, open, passes } = await clocksOn(t, { rotation: "strict" }, { session: { timeoutSeconds: 6 } });
    const tabs = [await open(), await open()];
    assert.equal(await signIn(tabs[0]), null);
    for (const tab of tabs) {
      assert.equal((await ask(tab, "/warm")).status, 200);
      await tiles(tab, 6);
    }
    const before = await stored(tabs[0]);
    await context.setOffline(true);
    await passes(HOUR + 1);
    for (const tab of tabs) {
      assert.deepEqual(statuses(await polls(tab, 6)), Array(6).fill("refresh_unavailable"));
      assert.deepEqual(await signedOutEvents(tab), []);
    }
    assert.equal(await stored(tabs[0]), before);
    await online(context, tabs);
    const answers = await Promise.all(tabs.map((tab) => askMany(tab, 6)));
    assert.deepEqual(statuses(answers.flat()), Array(12).fill(200));
    assert.equal(await server.refreshes(), 1);
    assert.equal(await server.reuses(), 0);
  });

for (const [what, how] of WAYS) {
  test(`a page that ${what} in mid-refresh answers what was asked before`, { skip }, async (t) => {
    const around = await clocksOn(t, {}, { initScript: holdReads });
    const tab = await around.open();
    assert.equal(await signIn(tab), null);
    assert.equal((await ask(tab, "/warm")).status, 200);
    await around.server.expire();
    await tab.evaluate(() => standStill());
    await begin(tab, "/x");
    await tab.waitForFunction(() => window.isStanding, null, { timeout: 5000, polling: 20 });
    await around[how](HOUR);
    await tab.evaluate(() => goOn());
    const late = await within("an answer", answerOf(tab), 15);
    assert.equal(late.status, 200, JSON.stringify(late));
    assert.equal(await around.server.refreshes(), 1);

    await around.server.expire();
    await around.server.hold();
    await begin(tab, "/x");
    await around.server.awaitHeld();
    await around[how](HOUR);
    await around.server.release();
    const later = await within("an answer", answerOf(tab), 15);
    assert.equal(later.status, 200, JSON.stringify(later));
    assert.equal(await around.server.reuses(), 0);
    assert.deepEqual(await signedOutEvents(tab), []);
  });
}

test("a browser that is stopped in mid-refresh and goes on later answers every request", { skip }, async (t) => {
  const { server, browser, open } = await tabsOn(t, {}, { isOwnBrowser: true });
  const tabs = [await open(), await open(), await open()];
  assert.equal(await signIn(tabs[0]), null);
  for (const tab of tabs) assert.equal((await ask(tab, "/warm")).status, 200);
  await server.expire();
  await server.hold();
  for (const tab of tabs) await begin(tab, "/x");
  await server.awaitHeld();
  const stopped = tree(browser.process().pid);
  for (const process_ of stopped) process.kill(process_, "SIGSTOP");
  try {
    await server.release();
    // This is the sleep itself.
    await new Promise((resolve) => setTimeout(resolve, 1500));
  } finally {
    for (const process_ of stopped) process.kill(process_, "SIGCONT");
  }
  for (const tab of tabs) assert.equal((await within("an answer", answerOf(tab), 20)).status, 200);
  await server.expire();
  for (const tab of tabs) assert.equal((await ask(tab, "/x")).status, 200);
  assert.equal(await server.refreshes(), 2);
  assert.equal(await server.reuses(), 0);
  for (const tab of tabs) assert.deepEqual(await signedOutEvents(tab), []);
});
