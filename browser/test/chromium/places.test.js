/** Browsers that lack something: IndexedDB, Web Locks. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { ask, askMany, LAN, signedOutEvents, signIn, skip, stage, statuses } from "./support/stage.js";

const WITHOUT = {
  "is missing": "Object.defineProperty(window, 'indexedDB', { value: undefined })",
  "is blocked": "IDBFactory.prototype.open = () => { throw new DOMException('by the settings', 'SecurityError'); }",
};

for (const [how, initScript] of Object.entries(WITHOUT)) {
  test(`where IndexedDB ${how}, sign-in and requests say store_refused`, { skip }, async (t) => {
    const { tab: open } = await stage(t, { initScript });
    const tab = await open();
    assert.equal((await ask(tab, "/x")).code, "store_refused");
    assert.equal((await signIn(tab)).code, "store_refused");
    assert.equal((await tab.evaluate(() => session.restore().catch(tell))).code, "store_refused");
  });

  test(`where IndexedDB ${how}, memoryStore works until the page is left`, { skip }, async (t) => {
    const { server, tab: open } = await stage(t, { initScript, rotation: "strict" });
    const tab = await open();
    await tab.evaluate(() => begin({ store: evertoken.memoryStore() }));
    assert.equal(await signIn(tab), null);
    await server.expire();
    assert.deepEqual(statuses(await askMany(tab, 20)), Array(20).fill(200));
    assert.equal(await server.refreshes(), 1);
  });
}

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

test("over plain http in a LAN, where there are no Web Locks, a tab makes one refresh", { skip }, async (t) => {
  const { server, signedIn } = await stage(t, { host: LAN, rotation: "strict" });
  const [tab] = await signedIn();
  assert.deepEqual(await tab.evaluate(() => [isSecureContext, "locks" in navigator]), [false, false]);
  for (let round = 1; round <= 3; round += 1) {
    await server.expire();
    assert.deepEqual(statuses(await askMany(tab, 20)), Array(20).fill(200));
    assert.equal(await server.refreshes(), round);
  }
});

test("without Web Locks, tabs that refresh at once are forgiven by evertoken's server", { skip }, async (t) => {
  const { server, signedIn } = await stage(t, { host: LAN });
  const tabs = await signedIn(4);
  for (let round = 0; round < 5; round += 1) {
    await server.expire();
    const answers = await Promise.all(tabs.map((tab) => askMany(tab, 5)));
    assert.deepEqual(statuses(answers.flat()), Array(20).fill(200));
  }
  for (const tab of tabs) assert.deepEqual(await signedOutEvents(tab), []);
  assert.equal(await server.reuses(), 0);
});
