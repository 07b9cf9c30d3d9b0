/** What a browser forgets or lacks, servers on another origin, and what happens at the server meanwhile. */

import assert from "node:assert/strict";
import { test } from "node:test";

import {
  answerOf, ask, askMany, begin, COOKIE, eventsOf, heard, live, logout, ready, restore, signIn, skip, stage, statuses,
} from "./support/stage.js";
import { stored, write } from "../chromium/support/stage.js";

const clearDatabases = (tab) =>
  tab.evaluate(async () => {
    for (const { name } of await indexedDB.databases()) {
      await new Promise((resolve, reject) => {
        const deleting = indexedDB.deleteDatabase(name);
        deleting.onsuccess = resolve;
        deleting.onerror = () => reject(deleting.error);
      });
    }
  });

test("where IndexedDB was cleared and the cookie is there, restore() finds the session again", { skip }, async (t) => {
  const { server, front, signedIn, tab: open } = await stage(t);
  const [tab, other] = await signedIn(2);
  await clearDatabases(tab);
  await tab.reload();
  await ready(tab);
  assert.equal(await restore(tab), true);
  assert.equal((await ask(tab)).who, "u_ada");
  const later = await open();
  assert.equal(await restore(later), true);
  assert.equal(front.of("/auth/csrf").length, 1, "the second page finds it in IndexedDB again");
  front.expire();
  assert.deepEqual(statuses(await Promise.all([tab, other, later].map((each) => ask(each)))), [200, 200, 200]);
  assert.equal(front.of("/auth/login").length, 1);
  assert.equal(live(await server.records()).length, 1);
});

test("a session that seems to be past by the clock of the page is there if the cookie is", { skip }, async (t) => {
  const { front, signedIn } = await stage(t);
  const [tab] = await signedIn();
  await write(tab, JSON.stringify({ ...JSON.parse(await stored(tab)), refresh_expires_at: 1, expires_at: 1 }));
  await tab.reload();
  await ready(tab);
  assert.equal(await restore(tab), true);
  assert.equal(await tab.evaluate(() => session.user.account), "ada");
  assert.equal((await ask(tab)).who, "u_ada");
  assert.equal(front.of("/auth/csrf").length, 1);
});

test("where the cookie was cleared, the page is signed out, once", { skip }, async (t) => {
  const { front, context, signedIn } = await stage(t);
  const [tab] = await signedIn();
  await context.clearCookies();
  front.expire();
  assert.deepEqual(statuses(await askMany(tab, 5)), Array(5).fill("signed_out"));
  assert.deepEqual((await eventsOf(tab, "signedout")).length, 1);
  assert.equal(front.of("/auth/refresh").length, 1);
  await tab.reload();
  await ready(tab);
  assert.equal(await restore(tab), false);
  assert.equal(await signIn(tab), null);
  assert.equal((await ask(tab)).status, 200);
  assert.equal(front.refreshes, 0);
});

test("a sign-out where IndexedDB was cleared ends the session of the cookie, too", { skip }, async (t) => {
  const { server, signedIn, cookie } = await stage(t);
  const [tab] = await signedIn();
  await clearDatabases(tab);
  assert.equal(await logout(tab), null);
  assert.equal(await cookie(), null);
  assert.deepEqual(live(await server.records()), []);
  await tab.reload();
  await ready(tab);
  assert.equal(await restore(tab), false);
});

test("a session that has ended at the server signs every tab out once, with its reason, and is not found again", { skip }, async (t) => {
  const { server, front, signedIn, tab: open, cookie } = await stage(t);
  const tabs = await signedIn(2);
  await server.end("ada", "revoked");
  front.expire();
  for (const tab of tabs) {
    const { code, reason } = await ask(tab);
    assert.deepEqual([code, reason], ["signed_out", "revoked"]);
    await heard(tab, "signedout");
    assert.deepEqual(await eventsOf(tab, "signedout"), [{ type: "signedout", reason: "revoked" }]);
  }
  assert.equal(front.of("/auth/refresh").length, 1);
  // A login page that goes home for whoever is signed in, and a home page that needs a session, must not play ball.
  await tabs[0].reload();
  await ready(tabs[0]);
  assert.equal(await restore(tabs[0]), false);
  assert.equal(await restore(await open()), false);
  // Nor when the page cleans up behind it.
  assert.notEqual(await cookie(), null);
  assert.equal(await logout(tabs[0]), null);
  assert.equal(await cookie(), null);
  assert.equal(await restore(tabs[0]), false);
  assert.equal(await signIn(tabs[0]), null);
  assert.equal((await ask(tabs[0])).status, 200);
});

const MISSING = {
  "no storage": "Object.defineProperty(window, 'indexedDB', { value: undefined });",
  "no Web Locks": "Object.defineProperty(navigator, 'locks', { value: undefined });",
  "no BroadcastChannel": "Object.defineProperty(window, 'BroadcastChannel', { value: undefined });",
};
const CASES = [...Object.keys(MISSING).map((each) => [each]), Object.keys(MISSING)];

for (const lacking of CASES) {
  test(`with ${lacking.join(", ")}, two tabs stay signed in beside each other, and weaknesses says so`, { skip }, async (t) => {
    const initScript = lacking.map((each) => MISSING[each]).join("");
    const { server, front, tab: open, cookie } = await stage(t, { initScript });
    const tabs = [await open(), await open()];
    assert.equal(await restore(tabs[0]), false);
    assert.equal(await signIn(tabs[0]), null);
    assert.equal(await restore(tabs[1]), true);
    for (let round = 0; round < 4; round += 1) {
      front.expire();
      const answers = await Promise.all(tabs.map((tab) => askMany(tab, 5)));
      assert.deepEqual(statuses(answers.flat()), Array(10).fill(200));
    }
    for (const tab of tabs) {
      const told = await tab.evaluate(() => session.weaknesses.map((each) => /^[^:(]+/.exec(each)[0].trim()));
      assert.deepEqual(told.toSorted(), lacking.toSorted());
      assert.equal((await eventsOf(tab, "weaker")).length, lacking.length);
      assert.deepEqual(await eventsOf(tab, "signedout"), []);
    }
    await tabs[1].reload();
    await ready(tabs[1]);
    assert.equal(await restore(tabs[1]), true);
    assert.equal((await ask(tabs[1])).who, "u_ada");
    assert.equal(await logout(tabs[0]), null);
    assert.equal(await cookie(), null);
    front.expire();
    assert.equal((await ask(tabs[1])).code, "signed_out");
    const { sessions, refreshes } = await server.records();
    assert.deepEqual([sessions.length, sessions[0].revoked, refreshes.replay ?? 0], [1, "signed_out", 0]);
  });
}

test("a page on one host and its server on another, allow-listed, share a cookie that only the server's host has", { skip }, async (t) => {
  const apart = {
    scheme: "https", host: "app.example.test", issuerHost: "api.example.test",
    allowed: (front) => [front.origin("app.example.test")],
  };
  const { server, front, context } = await stage(t, apart);
  const api = front.origin("api.example.test");
  const settings = encodeURIComponent(JSON.stringify({ baseURL: api }));
  const open = async () => {
    const page = await context.newPage();
    await page.goto(`${front.origin("app.example.test")}/page?settings=${settings}`);
    await ready(page);
    return page;
  };
  const tab = await open();
  assert.equal(await restore(tab), false);
  assert.equal(await signIn(tab), null);
  assert.equal((await ask(tab)).who, "u_ada");
  front.expire();
  assert.deepEqual(statuses(await askMany(tab, 5)), Array(5).fill(200));
  assert.equal(front.refreshes, 1);
  await clearDatabases(tab);
  await tab.reload();
  await ready(tab);
  assert.equal(await restore(tab), true);
  const second = await open();
  assert.equal(await restore(second), true);
  assert.deepEqual([(await ask(tab)).who, (await ask(second)).who], ["u_ada", "u_ada"]);
  const jar = await context.cookies();
  assert.deepEqual(jar.map(({ name, domain }) => [name, domain]), [[COOKIE, "api.example.test"]]);
  assert.equal(await logout(tab), null);
  await heard(second, "signedout");
  assert.deepEqual(await context.cookies(), []);
  assert.deepEqual((await server.records()).sessions.map(({ revoked }) => revoked), ["signed_out"]);
});

test("where the browser keeps no cookie of a server on another site, the page says so at sign-in", { skip }, async (t) => {
  const apart = {
    scheme: "https", host: "app.one.test", issuerHost: "api.two.test", allowed: (front) => [front.origin("app.one.test")],
  };
  const { front, context } = await stage(t, apart);
  const page = await context.newPage();
  const settings = encodeURIComponent(JSON.stringify({ baseURL: front.origin("api.two.test") }));
  await page.goto(`${front.origin("app.one.test")}/page?settings=${settings}`);
  await ready(page);
  assert.equal(await signIn(page), null);
  assert.match((await page.evaluate(() => session.weaknesses)).join(), /keeps no cookie of this server/);
  assert.equal((await ask(page)).who, "u_ada");
});

test("a session goes on while the server's secret is exchanged for another", { skip }, async (t) => {
  const { server, front, signedIn, cookie } = await stage(t);
  const old = server.settings.secret;
  const fresh = "another secret, which came after the first";
  t.after(async () => {
    await server.stop();
    front.target = await server.start({ secret: [...old, fresh] });
  });
  const [tab] = await signedIn();
  const again = async (...secret) => {
    await server.stop();
    front.target = await server.start({ secret });
    front.expire();
    assert.equal((await ask(tab)).who, "u_ada");
  };
  const csrf = () => front.seen.findLast(({ method }) => method === "POST").headers["x-csrf-token"];
  const [before] = front.cookies;
  // The first mints, all verify: the page comes with the CSRF token and the cookie of the old secret.
  await again(fresh, ...old);
  const first = csrf();
  assert.notEqual(await cookie(), before);
  await again(fresh);
  assert.notEqual(csrf(), first, "it was handed the CSRF token of the new one");
  assert.deepEqual(await eventsOf(tab, "signedout"), []);
});

test("while the server is away nobody is signed out, and the session goes on when it is back", { skip }, async (t) => {
  const { server, front, signedIn } = await stage(t);
  const [tab] = await signedIn();
  await server.stop();
  front.expire();
  await begin(tab);
  const { code } = await answerOf(tab);
  assert.equal(code, "refresh_unavailable");
  front.target = await server.start();
  assert.deepEqual(await eventsOf(tab, "signedout"), []);
  await tab.reload();
  await ready(tab);
  assert.equal(await restore(tab), true);
  assert.equal((await ask(tab)).who, "u_ada");
});
