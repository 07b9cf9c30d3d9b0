/** The main stories once more in Firefox ESR, whose storage, locks and tabs are another program's. */

import assert from "node:assert/strict";
import { after, test } from "node:test";

import puppeteer from "puppeteer-core";

import {
  answerOf, ask, askMany, askUntilAnswered, begin, signedOutEvents, signIn, statuses, stored,
} from "../chromium/support/stage.js";
import { allWait, onPath, ready, rig, skipWithout, unsettled, within } from "../lifecycle/support/rig.js";

const skip = skipWithout("firefox-esr");
const TABS = 4;
const TRIALS = 10;

let launching = null;

after(async () => (await launching)?.close());

/** One Firefox for this file, with a profile folder of its own; each test has its own profile in it. */
async function tabsOn(t, settings = {}) {
  const { server, front, page } = await rig(t, settings);
  launching ??= puppeteer.launch({ browser: "firefox", executablePath: onPath("firefox-esr"), headless: true });
  const context = await (await launching).createBrowserContext();
  const tabs = [];
  const faults = [];
  t.after(async () => {
    try {
      assert.deepEqual(faults, [], "nothing was thrown outside of a promise that somebody holds");
      for (const tab of tabs) if (!tab.isClosed()) assert.deepEqual(await unsettled(tab), []);
    } finally {
      await context.close();
    }
  });
  const open = async (session = {}) => {
    const tab = await context.newPage();
    tabs.push(tab);
    tab.on("pageerror", (error) => faults.push(error.message));
    await tab.goto(page(session));
    await ready(tab, faults);
    return tab;
  };
  /** So many tabs of one signed-in user, each with the access token in hand. */
  const signedIn = async (count) => {
    const all = [];
    while (all.length < count) all.push(await open());
    assert.equal(await signIn(all[0]), null);
    for (const tab of all) assert.equal((await ask(tab, "/warm")).status, 200);
    return all;
  };
  return { server, front, open, signedIn };
}

/** An answer, or why there is none after twenty seconds. */
const inTime = (answer) => within("an answer", answer, 20);

test("in Firefox, who signs in is still signed in after a reload, with the tokens in IndexedDB", { skip }, async (t) => {
  const { server, open } = await tabsOn(t, { rotation: "strict" });
  const tab = await open();
  assert.equal(await tab.evaluate(() => session.restore()), false);
  assert.equal(await signIn(tab), null);
  assert.equal((await ask(tab, "/x")).subject, "ada");
  const before = await stored(tab);
  await tab.reload();
  await ready(tab, []);
  assert.equal(await tab.evaluate(() => session.restore()), true);
  assert.equal((await ask(tab, "/x")).subject, "ada");
  assert.equal(await stored(tab), before);
  assert.equal(await server.refreshes(), 0);
});

test(`in Firefox, ${TABS} tabs whose tokens expire at once make one refresh, in each of ${TRIALS} trials`, { skip },
  async (t) => {
    const { server, signedIn } = await tabsOn(t, { rotation: "strict" });
    const tabs = await signedIn(TABS);
    for (let trial = 0; trial < TRIALS; trial += 1) {
      const { refreshes: before } = await server.expire();
      const answers = await inTime(Promise.all(tabs.map((tab) => askMany(tab, 5))));
      assert.deepEqual(statuses(answers.flat()), Array(TABS * 5).fill(200), `trial ${trial}`);
      assert.equal((await server.refreshes()) - before, 1, `trial ${trial}`);
    }
    assert.equal(await server.reuses(), 0);
  });

/** A tab whose refresh is held at the server goes away, while another one waits for it. */
async function withoutTheLeader(t, leave) {
  const { server, front, open, signedIn } = await tabsOn(t);
  const [leader, other] = await signedIn(2);
  await server.expire();
  await server.hold();
  await begin(leader, "/x");
  await server.awaitHeld();
  await begin(other, "/x");
  await leave(leader, front);
  // The server has not answered yet, so the next tab asks with the same refresh token.
  await server.awaitHeld(2);
  await server.release();
  assert.equal((await inTime(answerOf(other))).status, 200);
  const last = leader.isClosed() ? await open() : leader;
  await server.expire();
  for (const tab of [other, last]) {
    assert.equal((await inTime(ask(tab, "/x"))).status, 200);
    assert.deepEqual(await signedOutEvents(tab), []);
  }
  assert.equal(await server.reuses(), 0);
}

test("in Firefox, a tab that is reloaded in mid-refresh signs nobody out", { skip }, (t) =>
  withoutTheLeader(t, async (leader) => {
    await leader.reload();
    await ready(leader, []);
  }));

test("in Firefox, a tab that is closed in mid-refresh signs nobody out", { skip }, (t) =>
  withoutTheLeader(t, (leader) => leader.close()));

test("in Firefox, a sign-out in one tab reaches all tabs, with one signedout event in each", { skip }, async (t) => {
  const { server, front, signedIn } = await tabsOn(t);
  const tabs = await signedIn(3);
  const told = tabs.slice(1).map((tab) =>
    tab.evaluate(() => new Promise((resolve) => session.addEventListener("signedout", () => resolve()))));
  assert.equal(await tabs[0].evaluate(() => session.logout().then(() => null, tell)), null);
  await within("the events", Promise.all(told));
  const sent = front.seen.length;
  for (const tab of tabs) {
    assert.deepEqual(statuses(await inTime(askMany(tab, 3))), Array(3).fill("signed_out"));
    assert.deepEqual(await signedOutEvents(tab), ["signed_out"]);
  }
  assert.equal(front.seen.length, sent, "nothing was asked for somebody who is signed out");
  assert.equal(await stored(tabs[0]), null);
  assert.equal(await server.refreshes(), 0);
});

test("in Firefox, the requests of axios wait for the one refresh, and are sent again below its interceptors", { skip },
  async (t) => {
    const { server, front, signedIn } = await tabsOn(t, { rotation: "strict" });
    const tabs = await signedIn(2);
    for (const tab of tabs) {
      await tab.evaluate(async () => {
        const { default: axios } = await import("/axios.js");
        window.http = axios.create();
        window.signed = 0;
        http.interceptors.request.use((config) => ((window.signed += 1), config));
        session.attach(http);
      });
    }
    await server.expire();
    const answers = await inTime(Promise.all(tabs.map((tab) =>
      tab.evaluate(() => Promise.all(Array.from({ length: 5 }, async (_, number) => {
        const answer = await http.post("/form", { number }).catch(tell);
        return { status: answer.status ?? answer.code, length: answer.data?.length };
      }))))));
    assert.deepEqual(statuses(answers.flat()), Array(10).fill(200));
    assert.ok(answers.flat().every(({ length }) => length === '{"number":0}'.length));
    for (const tab of tabs) assert.equal(await tab.evaluate(() => window.signed), 5);
    assert.ok(front.of("/form").length <= 20);
    assert.equal(await server.refreshes(), 1);
  });

test("in Firefox, without a network the tokens are kept, and requests go on when it is back", { skip }, async (t) => {
  const { server, front, signedIn } = await tabsOn(t);
  const tabs = await signedIn(2);
  const before = await stored(tabs[0]);
  await server.expire();
  await server.hold();
  for (const tab of tabs) await begin(tab, "/x");
  await server.awaitHeld();
  await allWait(tabs);
  front.pull();
  await server.release();
  for (const tab of tabs) assert.equal((await inTime(answerOf(tab))).code, "refresh_unavailable");
  assert.equal(await stored(tabs[0]), before);
  front.plug();
  for (const tab of tabs) {
    assert.equal((await inTime(askUntilAnswered(tab, "/x"))).status, 200);
    assert.deepEqual(await signedOutEvents(tab), []);
  }
  assert.equal(await server.reuses(), 0);
});
