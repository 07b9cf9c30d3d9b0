/** Frozen tabs: what holds the right to refresh may stand still at any point, for any time. */

import assert from "node:assert/strict";
import { test } from "node:test";

import {
  answerOf, ask, askMany, askUntilAnswered, begin, signedOutEvents, signIn, statuses, stored,
} from "../chromium/support/stage.js";
import { holdReads, version, within } from "./support/rig.js";
import { freeze, pass, skip, tabsOn, thaw, withMovedClock } from "./support/tabs.js";

/** What a session waits at most; half of it for a lease that another tab holds. */
const TIMEOUT_SECONDS = 4;

async function prepare(tab) {
  await withMovedClock(tab);
  await tab.evaluateOnNewDocument(holdReads);
}

/** Two tabs of one user: one that will freeze, hidden, and one in front. */
async function twoTabs(t, settings) {
  const around = await tabsOn(t, settings, { session: { timeoutSeconds: TIMEOUT_SECONDS } });
  const sleeper = await around.open(prepare);
  const awake = await around.open(prepare);
  assert.equal(await signIn(sleeper), null);
  for (const tab of [sleeper, awake]) assert.equal((await ask(tab, "/warm")).status, 200);
  return { ...around, sleeper, awake };
}

/** What a tab has asked is answered within the deadline of its session, and some time for the machine. */
const inTime = (answer) => within("an answer", answer, TIMEOUT_SECONDS + 6);

test("a tab frozen while its refresh is under way holds nobody up, and goes on when it thaws", { skip }, async (t) => {
  const { server, sleeper, awake } = await twoTabs(t);
  const before = version(await stored(awake));
  await server.expire();
  await server.hold();
  await begin(sleeper, "/x");
  await server.awaitHeld();
  await freeze(sleeper);
  const asked = inTime(askMany(awake, 5));
  // The lease has been taken from the frozen tab, and the same refresh token has been sent once more.
  await server.awaitHeld(2);
  await server.release();
  assert.deepEqual(statuses(await asked), Array(5).fill(200));
  const written = await stored(awake);
  assert.equal(version(written), before + 1);

  await thaw(sleeper);
  assert.equal((await inTime(answerOf(sleeper))).status, 200);
  assert.equal(await stored(awake), written, "the older answer has not replaced the newer tokens");
  await server.expire();
  for (const tab of [sleeper, awake]) assert.equal((await inTime(ask(tab, "/x"))).status, 200);
  assert.equal(await server.refreshes(), 3, "both go on with the same tokens, and share the next refresh");
  assert.equal(await server.reuses(), 0);
  for (const tab of [sleeper, awake]) assert.deepEqual(await signedOutEvents(tab), []);
});

/** A tab may stand still because it was frozen, which it is told, or because its page is busy, which nobody is. */
const STANDSTILLS = [
  ["that was frozen", freeze, thaw],
  ["whose page was busy", () => "nothing is told", () => "nothing is told"],
];

for (const [which, stop, start] of STANDSTILLS) {
  test(`a tab ${which} after it had read the refresh token does not send it later to a strict server`, { skip },
    async (t) => {
      const { server, sleeper, awake } = await twoTabs(t, { rotation: "strict" });
      await server.expire();
      await sleeper.evaluate(() => standStill());
      await begin(sleeper, "/x");
      await sleeper.waitForFunction("window.isStanding", { polling: 20, timeout: 5000 });
      await stop(sleeper);

      assert.deepEqual(statuses(await inTime(askMany(awake, 5))), Array(5).fill(200));
      assert.equal(await server.refreshes(), 1);
      const written = await stored(awake);

      await pass(sleeper, 60);
      await start(sleeper);
      await sleeper.evaluate(() => goOn());
      assert.equal((await inTime(answerOf(sleeper))).status, 200);
      assert.equal(await server.refreshes(), 1, "it found the tokens that the other tab had got");
      assert.equal(await server.reuses(), 0);
      assert.equal(await stored(awake), written);
      for (const tab of [sleeper, awake]) assert.deepEqual(await signedOutEvents(tab), []);
    });
}

test("a tab frozen within a transaction of the store lets others know in time, and loses nobody's session", { skip },
  async (t) => {
    const { server, sleeper, awake } = await twoTabs(t);
    await sleeper.evaluate(
      () =>
        new Promise((resolve) => {
          const opening = indexedDB.open("evertoken", 1);
          opening.onsuccess = () => {
            const kept = opening.result.transaction("session", "readwrite").objectStore("session");
            // It lives for as long as something is asked of it.
            const again = () => (kept.get("document").onsuccess = window.lets ? () => opening.result.close() : again);
            again();
            resolve();
          };
        }),
    );
    await freeze(sleeper);
    await server.expire();
    const answers = await inTime(askMany(awake, 3));
    assert.deepEqual(statuses(answers), Array(3).fill("refresh_unavailable"));
    await sleeper.evaluate(() => (window.lets = true));
    await thaw(sleeper);
    for (const tab of [sleeper, awake]) assert.equal((await inTime(askUntilAnswered(tab, "/x"))).status, 200);
    assert.equal(await server.reuses(), 0);
    for (const tab of [sleeper, awake]) assert.deepEqual(await signedOutEvents(tab), []);
  });

test("a tab that was frozen for a day uses the newest token, without a refresh of its own", { skip }, async (t) => {
  const { server, sleeper, awake } = await twoTabs(t, { rotation: "strict" });
  await freeze(sleeper);
  for (let hour = 0; hour < 24; hour += 1) {
    await server.move(3600);
    await pass(awake, 3600);
    assert.equal((await inTime(ask(awake, "/x"))).status, 200);
  }
  await pass(sleeper, 24 * 3600);
  const refreshes = await server.refreshes();
  assert.equal(refreshes, 24);
  await thaw(sleeper);
  assert.deepEqual(statuses(await inTime(askMany(sleeper, 5))), Array(5).fill(200));
  assert.equal(await server.refreshes(), refreshes);
  assert.deepEqual(await signedOutEvents(sleeper), []);
});

test("a sign-out while another tab is frozen in mid-refresh leaves nobody signed in", { skip }, async (t) => {
  const { server, sleeper, awake } = await twoTabs(t);
  await server.expire();
  await server.hold();
  await begin(sleeper, "/x");
  await server.awaitHeld();
  await freeze(sleeper);
  const leaving = awake.evaluate(() => session.logout().then(() => "signed out", tell));
  assert.equal(await inTime(leaving), "signed out");
  await server.release();
  await thaw(sleeper);
  assert.equal((await inTime(answerOf(sleeper))).code, "signed_out");
  assert.equal(await stored(awake), null, "no tokens were written back");
  for (const tab of [sleeper, awake]) assert.deepEqual(await signedOutEvents(tab), ["signed_out"]);
});

test("a tab that was frozen while its user signed out elsewhere is told when it thaws, though nobody shows it", { skip },
  async (t) => {
    const { front, sleeper, awake } = await twoTabs(t);
    await freeze(sleeper);
    assert.equal(await awake.evaluate(() => session.logout().then(() => null, tell)), null);
    const sent = front.seen.length;
    await thaw(sleeper);
    await sleeper.waitForFunction("events.length > 0", { polling: 20, timeout: 5000 });
    assert.deepEqual(await signedOutEvents(sleeper), ["signed_out"]);
    assert.equal((await ask(sleeper, "/x")).code, "signed_out");
    assert.equal(front.seen.length, sent);
  });

test("ten tabs that thaw together on an expired token make one refresh", { skip }, async (t) => {
  const { server, sleeper, awake, open } = await twoTabs(t, { rotation: "strict" });
  const sleepers = [sleeper];
  while (sleepers.length < 10) sleepers.push(await open(prepare));
  await awake.bringToFront();
  for (const tab of sleepers) assert.equal((await ask(tab, "/warm")).status, 200);
  for (const tab of sleepers) await freeze(tab);
  await server.move(3600);
  for (const tab of [...sleepers, awake]) await pass(tab, 3600);
  await Promise.all(sleepers.map(thaw));
  const answers = await inTime(Promise.all([...sleepers, awake].map((tab) => askMany(tab, 3))));
  assert.deepEqual(statuses(answers.flat()), Array(33).fill(200));
  assert.equal(await server.refreshes(), 1);
  assert.equal(await server.reuses(), 0);
});
