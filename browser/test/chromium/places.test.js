/** Where a session is kept, and browsers that lack something: IndexedDB, Web Locks, BroadcastChannel. */

import assert from "node:assert/strict";
import { test } from "node:test";

import {
  ask, askMany, askUntilAnswered, LAN, signedOutEvents, signIn, skip, stage, statuses, stored, write,
} from "./support/stage.js";

const WITHOUT = {
  "IndexedDB is missing": "Object.defineProperty(window, 'indexedDB', { value: undefined })",
  "IndexedDB is blocked":
    "IDBFactory.prototype.open = () => { throw new DOMException('by the settings', 'SecurityError'); }",
  "IndexedDB is full":
    "IDBObjectStore.prototype.put = () => { throw new DOMException('no space', 'QuotaExceededError'); }",
};
const NO_LOCKS = "Object.defineProperty(navigator, 'locks', { value: undefined });";
const NO_CHANNEL = "Object.defineProperty(window, 'BroadcastChannel', { value: undefined });";
const ALONE = {
  "with all that a browser has": "",
  "without Web Locks": NO_LOCKS,
  "without BroadcastChannel": NO_CHANNEL,
  "with neither Web Locks nor BroadcastChannel": NO_LOCKS + NO_CHANNEL,
};

const weaknesses = (tab) => tab.evaluate(() => session.weaknesses.map((each) => /^[^:(]+/.exec(each)[0].trim()));

for (const [how, initScript] of Object.entries(WITHOUT)) {
  test(`where ${how}, the session lives in memory until the page is left, and says so`, { skip }, async (t) => {
    const { server, tab: open } = await stage(t, { initScript, rotation: "strict" });
    const tab = await open();
    assert.equal(await tab.evaluate(() => session.restore()), false);
    assert.equal(await signIn(tab), null);
    assert.deepEqual(await weaknesses(tab), ["no storage"]);
    await server.expire();
    assert.deepEqual(statuses(await askMany(tab, 20)), Array(20).fill(200));
    assert.equal(await server.refreshes(), 1);
    assert.equal(await tab.evaluate(() => session.logout().then(() => session.user)), null);
    assert.equal((await ask(tab, "/x")).code, "signed_out");
  });
}

for (const [how, initScript] of Object.entries(ALONE)) {
  test(`${how}, four tabs whose tokens expire at once make one refresh`, { skip }, async (t) => {
    const { server, signedIn } = await stage(t, { initScript, rotation: "strict" });
    const tabs = await signedIn(4);
    const lacking = [initScript.includes("locks") && "no Web Locks", initScript.includes("Channel") && "no BroadcastChannel"];
    assert.deepEqual(await weaknesses(tabs[1]), lacking.filter(Boolean));
    for (let round = 1; round <= 8; round += 1) {
      await server.expire();
      const answers = await Promise.all(tabs.map((tab) => askMany(tab, 5)));
      assert.deepEqual(statuses(answers.flat()), Array(20).fill(200));
      assert.equal(await server.refreshes(), round);
    }
    await tabs[0].evaluate(() => session.logout());
    for (const tab of tabs) assert.equal((await ask(tab, "/after")).code, "signed_out");
    assert.equal(await server.reuses(), 0);
  });
}

test("a storage that fails once something has been kept in it signs nobody out", { skip }, async (t) => {
  const { server, signedIn } = await stage(t);
  const [tab] = await signedIn();
  await server.expire();
  await tab.evaluate(() => {
    window.put = IDBObjectStore.prototype.put;
    IDBObjectStore.prototype.put = () => {
      throw new DOMException("no space", "QuotaExceededError");
    };
  });
  assert.equal((await ask(tab, "/x")).code, "refresh_unavailable");
  await tab.evaluate(() => void (IDBObjectStore.prototype.put = window.put));
  assert.equal((await askUntilAnswered(tab, "/x")).status, 200);
  assert.deepEqual(await signedOutEvents(tab), []);
});

test("a document that somebody has damaged keeps nobody from signing in", { skip }, async (t) => {
  const { tab: open } = await stage(t);
  const tab = await open();
  for (const damaged of ["{", '{"evertoken": 1, "server": "x", "version": 1}', '{"evertoken": 1}']) {
    await write(tab, damaged);
    assert.equal(await tab.evaluate(() => session.restore()), false);
    assert.equal(await signIn(tab), null);
    assert.equal((await ask(tab, "/x")).status, 200);
    await write(tab, damaged);
    assert.equal(await tab.evaluate(() => session.logout().catch(tell)), undefined);
  }
});

test("a document that is damaged while a page uses its session does not sign it out", { skip }, async (t) => {
  const { signedIn } = await stage(t);
  const [tab] = await signedIn();
  await write(tab, "{");
  await tab.evaluate(() => dispatchEvent(new Event("pageshow")));
  assert.equal((await ask(tab, "/x")).status, 200);
  assert.deepEqual(await signedOutEvents(tab), []);
});

test("what another program keeps under the same name is not overwritten", { skip }, async (t) => {
  const { tab: open } = await stage(t);
  const tab = await open();
  await write(tab, '{"theirs": true}');
  assert.equal((await signIn(tab)).code, "store_refused");
  assert.equal((await tab.evaluate(() => session.restore().catch(tell))).code, "store_refused");
  assert.equal(await stored(tab), '{"theirs": true}');
});

for (const name of ["localStorageStore", "sessionStorageStore"]) {
  test(`with ${name}, a sign-in outlives a reload, and a tab makes one refresh`, { skip }, async (t) => {
    const { server, tab: open } = await stage(t, { rotation: "strict" });
    const tab = await open();
    const begun = () => tab.evaluate((store) => begin({ store: evertoken[store]() }), name);
    await begun();
    assert.equal(await signIn(tab), null);
    await tab.reload();
    await tab.waitForFunction(() => window.isReady);
    await begun();
    assert.equal(await tab.evaluate(() => session.restore()), true);
    await server.expire();
    assert.deepEqual(statuses(await askMany(tab, 20)), Array(20).fill(200));
    assert.equal(await server.refreshes(), 1);
  });
}

test("with localStorageStore, four tabs whose tokens expire at once make one refresh", { skip }, async (t) => {
  const { server, tab: open } = await stage(t, { rotation: "strict" });
  const tabs = await Promise.all(Array.from({ length: 4 }, open));
  for (const tab of tabs) await tab.evaluate(() => begin({ store: evertoken.localStorageStore() }));
  assert.equal(await signIn(tabs[0]), null);
  for (let round = 1; round <= 20; round += 1) {
    await server.expire();
    const answers = await Promise.all(tabs.map((tab) => askMany(tab, 5)));
    assert.deepEqual(statuses(answers.flat()), Array(20).fill(200));
    assert.equal(await server.refreshes(), round);
  }
  assert.equal(await server.reuses(), 0);
});

test("a sign-in outlives a reload and is there in a new tab, without a refresh", { skip }, async (t) => {
  const { server, signedIn, tab: open } = await stage(t);
  const [tab] = await signedIn();
  await tab.reload();
  await tab.waitForFunction(() => window.isReady);
  for (const each of [tab, await open()]) {
    assert.equal(await each.evaluate(() => session.restore()), true);
    assert.equal((await ask(each, "/x")).status, 200);
  }
  assert.equal(await server.refreshes(), 0);
});

test("tokens that the user has cleared in mid-session sign the tab out, once", { skip }, async (t) => {
  const { server, signedIn } = await stage(t);
  const [tab] = await signedIn();
  const deleted = () =>
    new Promise((resolve) => {
      const request = indexedDB.deleteDatabase("evertoken");
      request.onsuccess = request.onerror = request.onblocked = ({ type }) => resolve(type);
    });
  assert.equal(await tab.evaluate(deleted), "success", "the client lets go of it");
  await server.expire();
  for (const { code } of await askMany(tab, 5)) assert.equal(code, "signed_out");
  assert.deepEqual(await signedOutEvents(tab), ["signed_out"]);
  assert.equal(await signIn(tab), null);
  assert.equal((await ask(tab, "/x")).status, 200);
});

test("over plain http in a LAN, where there are no Web Locks, four tabs make one refresh", { skip }, async (t) => {
  const { server, signedIn } = await stage(t, { host: LAN, rotation: "strict" });
  const tabs = await signedIn(4);
  assert.deepEqual(await tabs[0].evaluate(() => [isSecureContext, "locks" in navigator]), [false, false]);
  for (let round = 1; round <= 3; round += 1) {
    await server.expire();
    const answers = await Promise.all(tabs.map((tab) => askMany(tab, 5)));
    assert.deepEqual(statuses(answers.flat()), Array(20).fill(200));
    assert.equal(await server.refreshes(), round);
  }
});
