/** Offline and back: tokens are kept, whoever waits is told in time, and the network's return is noticed at once. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { answerOf, ask, askMany, askUntilAnswered, begin, signedOutEvents, signIn, statuses, stored }
  from "../chromium/support/stage.js";
import { clocksOn, online, skip } from "./support/clocks.js";
import { allWait, within } from "./support/rig.js";

const HOUR = 3600;
const DAY = 24 * HOUR;

/** So many tabs of one user. */
async function signedIn(open, count) {
  const tabs = [];
  while (tabs.length < count) tabs.push(await open());
  assert.equal(await signIn(tabs[0]), null);
  for (const tab of tabs) assert.equal((await ask(tab, "/warm")).status, 200);
  return tabs;
}

test("offline with an expired token, requests are told in time, and the tokens are kept", { skip }, async (t) => {
  const { server, context, open, passes } = await clocksOn(t, { rotation: "strict" });
  const tabs = await signedIn(open, 2);
  const before = await stored(tabs[0]);
  await context.setOffline(true);
  await passes(HOUR);
  for (let round = 0; round < 2; round += 1) {
    const answers = await within("the answers", Promise.all(tabs.map((tab) => askMany(tab, 5))), 15);
    assert.deepEqual(statuses(answers.flat()), Array(10).fill("refresh_unavailable"));
    await passes(60);
  }
  assert.equal(await stored(tabs[0]), before);
  assert.equal(await server.refreshes(), 0);
  for (const tab of tabs) assert.deepEqual(await signedOutEvents(tab), []);
});

test("after the online event the next requests of all tabs are answered at once, with one refresh", { skip },
  async (t) => {
    const { server, context, open, passes } = await clocksOn(t, { rotation: "strict" });
    const tabs = await signedIn(open, 2);
    await context.setOffline(true);
    await passes(HOUR);
    // Every failure lengthens the rest after it; the last one is not over when the network comes back.
    for (let round = 0; round < 4; round += 1) {
      await passes(31);
      const answers = await within("the answers", Promise.all(tabs.map((tab) => ask(tab, "/x"))), 15);
      assert.deepEqual(statuses(answers), Array(2).fill("refresh_unavailable"));
    }
    await online(context, tabs);
    const next = await Promise.all(tabs.map((tab) => askMany(tab, 4)));
    assert.deepEqual(statuses(next.flat()), Array(8).fill(200));
    assert.equal(await server.refreshes(), 1);
    assert.equal(await server.reuses(), 0);
  });

test("a request that begins while the network comes back is answered, whichever comes first", { skip }, async (t) => {
  const { server, context, open, passes } = await clocksOn(t);
  const [tab] = await signedIn(open, 1);
  for (let trial = 0; trial < 5; trial += 1) {
    await context.setOffline(true);
    await passes(HOUR);
    await begin(tab, "/x");
    await context.setOffline(false);
    // It was tried once or more without a network; what it waits for is the next try.
    const answer = await within("an answer", answerOf(tab), 15);
    assert.ok(answer.status === 200 || answer.code === "refresh_unavailable", JSON.stringify(answer));
    assert.equal((await askUntilAnswered(tab, "/x")).status, 200);
  }
  assert.equal(await server.reuses(), 0);
  assert.deepEqual(await signedOutEvents(tab), []);
});

test("a cable pulled in mid-refresh costs no session, and requests go on when it is back", { skip }, async (t) => {
  const { server, front, open } = await clocksOn(t);
  const tabs = await signedIn(open, 2);
  await server.expire();
  await server.hold();
  for (const tab of tabs) await begin(tab, "/x");
  await server.awaitHeld();
  await allWait(tabs);
  front.pull();
  await server.release();
  for (const tab of tabs) assert.equal((await within("an answer", answerOf(tab), 15)).code, "refresh_unavailable");
  front.plug();
  for (const tab of tabs) assert.equal((await within("an answer", askUntilAnswered(tab, "/x"), 20)).status, 200);
  assert.equal(await server.reuses(), 0);
  for (const tab of tabs) assert.deepEqual(await signedOutEvents(tab), []);
});

test("a page that was offline for longer than its session lives is signed out once, when it is back", { skip },
  async (t) => {
    const { server, context, open, passes } = await clocksOn(t, { idle_seconds: 7 * DAY });
    const [tab] = await signedIn(open, 1);
    await context.setOffline(true);
    await passes(8 * DAY);
    assert.equal((await within("an answer", ask(tab, "/x"), 15)).code, "refresh_unavailable");
    assert.deepEqual(await signedOutEvents(tab), [], "nobody has said so yet");
    await online(context, [tab]);
    assert.deepEqual(statuses(await askMany(tab, 5)), Array(5).fill("signed_out"));
    assert.deepEqual(statuses(await askMany(tab, 5)), Array(5).fill("signed_out"));
    assert.deepEqual(await signedOutEvents(tab), ["expired_idle"]);
    assert.equal(await server.refreshes(), 1);
  });
