/** Cookie mode, as people live it: sign in, reload, more tabs, sign out, somebody else signs in. */

import assert from "node:assert/strict";
import { test } from "node:test";

import {
  answerOf, ask, askMany, begin, eventsOf, heard, live, logout, ready, restore, signIn, skip, stage, statuses,
} from "./support/stage.js";

const TRIALS = Number(process.env.TRIALS ?? 40);
const TABS = 6;
const REQUESTS = 5;

test("after a reload and in a new tab the user is signed in without typing, for one refresh at most", { skip }, async (t) => {
  const { front, tab: open } = await stage(t, { overlap: 0 });
  const tab = await open();
  assert.equal(await restore(tab), false);
  assert.equal(await signIn(tab), null);
  assert.deepEqual(await ask(tab), { status: 200, path: "/api/x", who: "u_ada" });
  assert.equal(front.refreshes, 0);
  await tab.reload();
  await ready(tab);
  assert.equal(await restore(tab), true);
  assert.deepEqual(statuses(await askMany(tab, 5)), Array(5).fill(200));
  assert.ok(front.refreshes <= 1, `${front.refreshes} refreshes after a reload`);
  const before = front.refreshes;
  const second = await open();
  assert.equal(await restore(second), true);
  assert.deepEqual(statuses(await askMany(second, 5)), Array(5).fill(200));
  assert.ok(front.refreshes - before <= 1, `${front.refreshes - before} refreshes in a new tab`);
  assert.equal(front.of("/auth/login").length, 1);
  assert.equal((await second.evaluate(() => session.user)).account, "ada");
});

/** All that a script of this page could find: databases, storages, cookies, caches. */
const findings = (tab) =>
  tab.evaluate(async () => {
    const found = { local: { ...localStorage }, session: { ...sessionStorage }, cookie: document.cookie, databases: {} };
    for (const { name } of await indexedDB.databases()) {
      const database = await new Promise((resolve, reject) => {
        const opening = indexedDB.open(name);
        opening.onsuccess = () => resolve(opening.result);
        opening.onerror = () => reject(opening.error);
      });
      for (const store of database.objectStoreNames) {
        found.databases[`${name}/${store}`] = await new Promise((resolve, reject) => {
          const request = database.transaction(store).objectStore(store).getAll();
          request.onsuccess = () => resolve(request.result);
          request.onerror = () => reject(request.error);
        });
      }
      database.close();
    }
    return JSON.stringify({ ...found, caches: await caches.keys(), history: history.state, name: window.name });
  });

test("neither token stands in IndexedDB, localStorage, sessionStorage or document.cookie", { skip }, async (t) => {
  const { front, signedIn } = await stage(t);
  const tabs = await signedIn(2);
  const accessTokens = [...front.good.keys()];
  front.expire();
  assert.equal((await ask(tabs[1])).status, 200);
  accessTokens.push(...front.good.keys());
  assert.equal(accessTokens.length, 2);
  assert.equal(front.cookies.length, 2);
  for (const tab of tabs) {
    const found = await findings(tab);
    assert.match(found, /session_id/, "it was looked in the right place");
    for (const secret of [...accessTokens, ...front.cookies]) assert.ok(!found.includes(secret));
  }
});

test(`six tabs whose tokens expire at once make one refresh against a strict server, in each of ${TRIALS} trials`, { skip }, async (t) => {
  const { server, front, signedIn } = await stage(t, { overlap: 0 });
  const tabs = await signedIn(TABS);
  const refreshes = [];
  const failed = [];
  for (let trial = 0; trial < TRIALS; trial += 1) {
    const before = front.of("/auth/refresh").length;
    front.expire();
    const answers = (await Promise.all(tabs.map((tab) => askMany(tab, REQUESTS)))).flat();
    failed.push(...answers.filter(({ status, who }) => status !== 200 || who !== "u_ada"));
    refreshes.push(front.of("/auth/refresh").length - before);
  }
  const { sessions, refreshes: outcomes } = await server.records();
  t.diagnostic(`${TRIALS} trials, ${TRIALS * TABS * REQUESTS} requests: ${refreshes.reduce((a, b) => a + b)} refreshes,`
    + ` ${failed.length} failed requests, ${outcomes.replay ?? 0} replays`);
  assert.deepEqual(refreshes, Array(TRIALS).fill(1));
  assert.deepEqual(failed, []);
  assert.deepEqual(sessions.map(({ username, revoked }) => [username, revoked]), [["ada", null]]);
  assert.deepEqual([outcomes.replay ?? 0, outcomes.stale ?? 0], [0, 0]);
});

test("a sign-out reaches every tab at once, ends the session at the server and clears the cookie", { skip }, async (t) => {
  const { server, front, signedIn, cookie } = await stage(t);
  const tabs = await signedIn(3);
  assert.notEqual(await cookie(), null);
  assert.equal(await logout(tabs[0]), null);
  for (const tab of tabs) {
    await heard(tab, "signedout");
    assert.deepEqual(await eventsOf(tab, "signedout"), [{ type: "signedout", reason: "signed_out" }]);
    assert.equal((await ask(tab)).code, "signed_out");
    assert.equal(await tab.evaluate(() => session.user), null);
  }
  assert.equal(await cookie(), null);
  assert.deepEqual((await server.records()).sessions.map(({ revoked }) => revoked), ["signed_out"]);
  assert.equal(front.of("/auth/refresh").length, 0);
  await tabs[1].reload();
  await ready(tabs[1]);
  assert.equal(await restore(tabs[1]), false);
});

test("another user's sign-in in another tab is told once, and no request of the first goes out for him", { skip }, async (t) => {
  const { server, front, signedIn } = await stage(t);
  const [ada, other] = await signedIn(2);
  front.expire();
  const paths = ["/api/ada/one", "/api/ada/two", "/api/ada/three"];
  const held = paths.map((path) => front.hold(path));
  for (const path of paths) await begin(ada, `ask('${path}')`, path.slice("/api/ada/".length));
  for (const each of held) await each.arrived();
  assert.equal(await signIn(other, "bob"), null);
  for (const each of held) each.release();
  await heard(ada, "signedout");
  for (const name of ["one", "two", "three"]) {
    const { code, reason } = await answerOf(ada, name);
    assert.deepEqual([code, reason], ["signed_out", "signed_in_anew"]);
  }
  assert.equal((await ask(ada, "/api/ada/four")).code, "signed_out");
  assert.equal((await ask(other, "/api/bob")).who, "u_bob");
  assert.deepEqual(await eventsOf(ada, "signedout"), [{ type: "signedout", reason: "signed_in_anew" }]);
  const bobs = [...front.good].filter(([, who]) => who === "u_bob").map(([token]) => `Bearer ${token}`);
  assert.equal(bobs.length, 1);
  const hers = front.seen.filter(({ path }) => path.startsWith("/api/ada/"));
  assert.deepEqual(hers.filter(({ headers }) => bobs.includes(headers.authorization)), []);
  assert.equal(hers.length, 3);
  // Her cookie came along with his sign-in, so her session has ended.
  assert.deepEqual(live(await server.records()).map(({ username }) => username), ["bob"]);
});

test("the same user who signs in anew in another tab goes on in both", { skip }, async (t) => {
  const { front, signedIn } = await stage(t);
  const [first, second] = await signedIn(2);
  assert.equal(await signIn(second), null);
  // The first tab goes on with the new session once it has heard of it; a token that it has not used yet expires then.
  const anew = await second.evaluate(() => session.user.session_id);
  await first.waitForFunction((id) => session.user.session_id === id, anew, { timeout: 10_000 });
  front.expire();
  assert.deepEqual([(await ask(first)).who, (await ask(second)).who], ["u_ada", "u_ada"]);
  assert.deepEqual(await eventsOf(first, "signedout"), []);
  assert.equal(front.refreshes, 1);
});

test("a tab that was opened before anybody had signed in hears of the sign-in elsewhere", { skip }, async (t) => {
  const { front, tab: open } = await stage(t);
  const [first, second] = [await open(), await open()];
  assert.equal(await restore(first), false);
  assert.equal(await signIn(second), null);
  await heard(first, "signedin");
  assert.deepEqual(await eventsOf(first), [{ type: "signedin", isElsewhere: true }]);
  assert.equal(await restore(first), true);
  assert.equal((await ask(first)).who, "u_ada");
  assert.equal(front.refreshes, 0);
});
