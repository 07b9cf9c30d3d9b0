/** Clocks that are wrong, stand still or jump: nobody is signed out, and no refresh follows upon another. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { answerOf, ask, askMany, begin, signedOutEvents, signIn, statuses } from "../chromium/support/stage.js";
import { clocksOn, skip } from "./support/clocks.js";
import { idle, tabsOn } from "./support/tabs.js";

const MINUTE = 60;
const HOUR = 3600;
const DAY = 24 * HOUR;
const WRONG = [
  ["an hour fast", HOUR], ["an hour slow", -HOUR], ["a year fast", 365 * DAY], ["a year slow", -365 * DAY],
];

for (const [how, wrongBySeconds] of WRONG) {
  test(`a page whose clock is ${how} refreshes as often as any other`, { skip }, async (t) => {
    const { server, open, passes } = await clocksOn(t, { rotation: "strict" }, { wrongBySeconds });
    const tabs = [await open(), await open()];
    assert.equal(await signIn(tabs[0]), null);
    const answers = await Promise.all(tabs.map((tab) => askMany(tab, 20)));
    assert.deepEqual(statuses(answers.flat()), Array(40).fill(200));
    assert.equal(await server.refreshes(), 0);
    // The server knows better than the page: its refusal is what counts.
    await server.expire();
    assert.deepEqual(statuses(await askMany(tabs[1], 20)), Array(20).fill(200));
    assert.equal(await server.refreshes(), 1);
    for (let minute = 0; minute < 4 * 60; minute += 15) {
      await passes(15 * MINUTE);
      for (const tab of tabs) assert.equal((await ask(tab, "/x")).status, 200);
    }
    // A token lives for half an hour, of which four fifths are used at least: the next look after them renews it.
    const made = (await server.refreshes()) - 1;
    assert.ok(made >= 7 && made <= 12, `${made} refreshes in four hours`);
    assert.equal(await server.reuses(), 0);
    for (const tab of tabs) assert.deepEqual(await signedOutEvents(tab), []);
  });
}

test("a clock that jumps to and fro costs a refresh per jump at most, and nobody's session", { skip }, async (t) => {
  const { server, open, setClock } = await clocksOn(t, { rotation: "strict" });
  const tabs = [await open(), await open()];
  assert.equal(await signIn(tabs[0]), null);
  for (const tab of tabs) assert.equal((await ask(tab, "/warm")).status, 200);
  const jumps = [HOUR, -HOUR, -HOUR, HOUR, DAY, -DAY, -3 * DAY, 30 * DAY, -27 * DAY, 20 * MINUTE, -20 * MINUTE];
  for (const seconds of jumps) {
    const before = await server.refreshes();
    await setClock(seconds);
    for (let round = 0; round < 3; round += 1) {
      const answers = await Promise.all(tabs.map((tab) => askMany(tab, 3)));
      assert.deepEqual(statuses(answers.flat()), Array(6).fill(200), `after a jump of ${seconds} s`);
    }
    const made = (await server.refreshes()) - before;
    assert.ok(made <= (seconds > 0 ? 1 : 0), `${made} refreshes after a jump of ${seconds} s`);
  }
  assert.equal(await server.reuses(), 0);
  for (const tab of tabs) assert.deepEqual(await signedOutEvents(tab), []);
});

test("a page that is opened after its clock was set back by a day is signed in", { skip }, async (t) => {
  const { server, open, setClock } = await clocksOn(t, { rotation: "strict" }, { wrongBySeconds: DAY });
  assert.equal(await signIn(await open()), null);
  await setClock(-DAY);
  const tab = await open();
  assert.equal(await tab.evaluate(() => session.restore()), true);
  assert.deepEqual(statuses(await askMany(tab, 5)), Array(5).fill(200));
  assert.ok((await server.refreshes()) <= 1);
  await server.expire();
  assert.deepEqual(statuses(await askMany(tab, 5)), Array(5).fill(200));
  assert.deepEqual(await signedOutEvents(tab), []);
});

test("on a clock that stands still, every refusal is answered by one refresh", { skip }, async (t) => {
  const { server, context, open } = await clocksOn(t, { rotation: "strict" });
  await context.clock.setFixedTime(Date.now());
  const tab = await open();
  assert.equal(await signIn(tab), null);
  for (let time = 1; time <= 3; time += 1) {
    await server.expire();
    assert.deepEqual(statuses(await askMany(tab, 10)), Array(10).fill(200));
    assert.equal(await server.refreshes(), time);
  }
  assert.deepEqual(await signedOutEvents(tab), []);
});

test("a clock that jumps by an hour in mid-refresh costs two tabs two refreshes at most", { skip }, async (t) => {
  const { server, open, setClock } = await clocksOn(t, { rotation: "strict" });
  const [tab, other] = [await open(), await open()];
  assert.equal(await signIn(tab), null);
  for (const seconds of [HOUR, -HOUR]) {
    const { refreshes: before } = await server.expire();
    await server.hold();
    for (const each of [tab, other]) await begin(each, "/x");
    await server.awaitHeld();
    await setClock(seconds);
    await server.release();
    // Ahead, the new token looks expired to the other tab, which has not fetched it: that one may renew it once more.
    for (const each of [tab, other]) assert.equal((await answerOf(each)).status, 200);
    assert.ok((await server.refreshes()) - before <= 2);
  }
  assert.equal(await server.reuses(), 0);
  for (const each of [tab, other]) assert.deepEqual(await signedOutEvents(each), []);
});

test("tokens that live for a second cost one refresh per request at most", { skip }, async (t) => {
  const { server, open, passes } = await clocksOn(t, { rotation: "strict", access_seconds: 1 });
  const tab = await open();
  assert.equal(await signIn(tab), null);
  const rounds = 6;
  for (let round = 0; round < rounds; round += 1) {
    await passes(5);
    assert.deepEqual(statuses(await askMany(tab, 10)), Array(10).fill(200));
  }
  // A token may end between its refresh and the request; each request then has one of its own, the tick another.
  const made = await server.refreshes();
  assert.ok(made >= rounds && made <= 3 * rounds, `${made} refreshes`);
  assert.equal(await server.reuses(), 0);
});

test("with a token of ninety days no timer is set for longer than a browser can count", { skip }, async (t) => {
  const { server, front, open } = await tabsOn(t, { access_seconds: 90 * DAY, idle_seconds: 180 * DAY });
  const tab = await open((page) =>
    page.evaluateOnNewDocument(() => {
      window.longest = 0;
      for (const name of ["setTimeout", "setInterval"]) {
        const really = window[name].bind(window);
        window[name] = (work, ms = 0, ...more) => ((window.longest = Math.max(window.longest, ms)), really(work, ms, ...more));
      }
    }));
  assert.equal(await signIn(tab), null);
  assert.equal((await ask(tab, "/x")).status, 200);
  const sent = front.seen.length;
  await idle(tab, 24);
  assert.equal(front.seen.length, sent, "nothing is renewed on the first day");
  // A longer one fires at once.
  assert.ok((await tab.evaluate(() => window.longest)) < 2 ** 31);
  assert.equal(await server.refreshes(), 0);
});
