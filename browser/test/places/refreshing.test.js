/** The refresh is a part of the client that is loaded beside what sends requests: when that is, and what if it cannot be had. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";

import { answerOf, ask, askMany, askUntilAnswered, begin, signedOutEvents, signIn, skip, stage, statuses, stored }
  from "../chromium/support/stage.js";
import * as inCookie from "../cookie/support/stage.js";
import { within } from "../chromium/support/within.js";

const REFRESH = "**/refresh.js*";
const SOURCES = new URL("../../src/", import.meta.url);

/** Loaded anew, and signed in by what the browser has kept. */
async function reload(tab) {
  await tab.reload();
  await tab.waitForFunction(() => window.isReady);
  assert.equal(await tab.evaluate(() => session.restore()), true);
}

/** What modules a tab asks for from now on. */
function modules(tab) {
  const asked = [];
  tab.on("request", (request) => {
    const [, name] = /\/client\/(.*\.js)/.exec(request.url()) ?? [];
    if (name) asked.push(name);
  });
  return asked;
}

test("the refresh is loaded with a page's first use, and a deploy that removes its file afterwards changes nothing", { skip }, async (t) => {
  const { context, server, signedIn } = await stage(t, { rotation: "strict" });
  const [tab] = await signedIn();
  const asked = modules(tab);
  await tab.reload();
  await tab.waitForFunction(() => window.isReady);
  assert.ok(!asked.includes("refresh.js"), "making a session changes nothing");
  const asks = tab.waitForRequest((request) => request.url().endsWith("/client/refresh.js"));
  assert.equal(await tab.evaluate(() => session.restore()), true);
  await asks;
  assert.equal((await ask(tab, "/x")).status, 200);
  assert.equal(await server.refreshes(), 0, "nothing was to be refreshed");
  await tab.evaluate(() => import(`${origin}/client/refresh.js`).then(() => null));
  await context.route("**/client/**", (route) => route.fulfill({ status: 404, body: "" }));
  await server.expire();
  assert.deepEqual(statuses(await askMany(tab, 5)), Array(5).fill(200));
  assert.equal(await server.refreshes(), 1);
});

test("a refresh that does not load when a token is refused signs nobody out, tells all the same, and is had the next time", { skip }, async (t) => {
  const { context, server, signedIn } = await stage(t, { rotation: "strict" });
  const [tab] = await signedIn();
  await context.route(REFRESH, (route) => route.abort());
  await reload(tab);
  const before = await stored(tab);
  assert.equal((await ask(tab, "/x")).status, 200, "a token that is good needs none");
  await server.expire();
  const answers = await askMany(tab, 5);
  assert.deepEqual(statuses(answers), Array(5).fill("refresh_unavailable"));
  assert.equal(new Set(answers.map(({ message }) => message)).size, 1);
  assert.match(answers[0].message, /a part of the client does not load: .*refresh\.js/);
  assert.deepEqual([await server.refreshes(), await stored(tab)], [0, before]);
  await context.unroute(REFRESH);
  assert.equal((await askUntilAnswered(tab, "/x")).status, 200);
  assert.equal(await server.refreshes(), 1);
  assert.deepEqual(await signedOutEvents(tab), []);
});

test("a refresh that does not load when a page has no token yet signs nobody out either, and is made once when it does", { skip }, async (t) => {
  const { context, front, signedIn } = await inCookie.stage(t);
  const [tab] = await signedIn();
  await context.route(REFRESH, (route) => route.abort());
  await reload(tab);
  const before = front.refreshes;
  const answers = await inCookie.askMany(tab, 5);
  assert.deepEqual(inCookie.statuses(answers), Array(5).fill("refresh_unavailable"));
  assert.equal(new Set(answers.map(({ message }) => message)).size, 1);
  assert.notEqual(await tab.evaluate(() => session.user), null);
  assert.equal(front.refreshes, before);
  await context.unroute(REFRESH);
  // Asked for again with the next use; and the next try comes within the second that the first failure rests.
  const again = async () => {
    while ((await inCookie.ask(tab)).code === "refresh_unavailable") assert.equal(front.refreshes, before);
  };
  await within("a later try", again(), 10);
  assert.deepEqual(inCookie.statuses(await inCookie.askMany(tab, 5)), Array(5).fill(200));
  assert.equal(front.refreshes, before + 1);
  assert.deepEqual(await inCookie.eventsOf(tab, "signedout"), []);
});

test("a server that never answers with the refresh holds nobody up for ever, and nobody who aborts for a moment", { skip }, async (t) => {
  const { context, server, signedIn } = await stage(t);
  const [tab] = await signedIn();
  const held = [];
  await context.route(REFRESH, (route) => void held.push(route));
  await reload(tab);
  await server.expire();
  await begin(tab, "/x");
  const refused = tab.waitForResponse((response) => response.url().endsWith("/x?aborted"));
  await tab.evaluate(() => {
    window.aborting = new AbortController();
    window.aborted = session.fetch("/x?aborted", { signal: window.aborting.signal }).catch(({ name }) => name);
  });
  // Its answer has come, and waits for what looks into it.
  assert.equal((await refused).status(), 401);
  await tab.evaluate(() => window.aborting.abort());
  assert.equal(await within("the aborted request's end", tab.evaluate(() => window.aborted), 3), "AbortError");
  assert.equal((await within("an answer", answerOf(tab), 25)).code, "refresh_unavailable");
  await Promise.all(held.map((route) => route.continue()));
  await context.unroute(REFRESH);
  assert.equal((await askUntilAnswered(tab, "/x")).status, 200);
  assert.equal(await server.refreshes(), 1);
  assert.deepEqual(await signedOutEvents(tab), []);
});

test("a refresh that loads slowly is waited for by those who need it, and is one for all of them", { skip }, async (t) => {
  const { context, server, signedIn } = await stage(t, { rotation: "strict" });
  const [tab] = await signedIn();
  const held = [];
  await context.route(REFRESH, (route) => void held.push(route));
  await reload(tab);
  await server.expire();
  // Each has a URL of its own: of equal ones the browser's cache sends one after the other.
  const refused = Array.from({ length: 5 }, (_, index) => tab.waitForResponse((response) => response.url().endsWith(`/x?${index}`)));
  await tab.evaluate(() => void (window.many = Promise.all([0, 1, 2, 3, 4].map((each) => window.ask(`/x?${each}`)))));
  assert.deepEqual((await Promise.all(refused)).map((response) => response.status()), Array(5).fill(401));
  assert.equal(await server.refreshes(), 0);
  assert.deepEqual(await tab.evaluate(() => navigator.locks.query().then(({ held: leases }) => leases)), [], "no lease is held");
  await held[0].continue();
  assert.deepEqual(statuses(await within("answers", tab.evaluate(() => window.many), 20)), Array(5).fill(200));
  assert.deepEqual([held.length, await server.refreshes()], [1, 1]);
});

test("where it does not load, signing in, sending and signing out go on without it", { skip }, async (t) => {
  const { context, tab: open } = await stage(t);
  await context.route(REFRESH, (route) => route.abort());
  const tab = await open();
  assert.equal(await signIn(tab), null);
  assert.equal((await ask(tab, "/x")).status, 200);
  assert.equal(await tab.evaluate(() => session.logout().then(() => null, tell)), null);
});

test("an API that refuses tokens with a 200 gives its answers to the page also where nothing can look into them", { skip }, async (t) => {
  const { context, tab: open } = await stage(t);
  await context.route(REFRESH, (route) => route.abort());
  const tab = await open();
  const expired = [{ status: 401 }, { status: 200, body: { "/code": [401] } }];
  await tab.evaluate((dialect) => begin({ store: evertoken.memoryStore(), dialect, delivery: undefined }), { expired });
  assert.equal(await signIn(tab), null);
  assert.equal((await ask(tab, "/x")).status, 200);
});

test("a page load that has to ask who is signed in, and to refresh, waits for both of those parts at once", { skip }, async (t) => {
  const { context, front, signedIn } = await inCookie.stage(t);
  const [tab] = await signedIn();
  // The storage was cleared, and the browser's cookie is left.
  await tab.evaluate(() => new Promise((resolve) => {
    session.close();
    indexedDB.deleteDatabase("evertoken").onsuccess = () => resolve(null);
  }));
  await tab.reload();
  await inCookie.ready(tab);
  const before = front.refreshes;
  const held = new Map();
  let isHeld = true;
  const both = new Promise((resolve) => {
    context.route("**/client/**", (route) => {
      if (!isHeld) return route.fallback();
      held.set(new URL(route.request().url()).pathname, route);
      return held.has("/client/account.js") && held.has("/client/refresh.js") && resolve(null);
    });
  });
  await inCookie.begin(tab, "session.restore().then(() => ask())");
  await within("both parts to be asked for", both, 10);
  isHeld = false;
  await Promise.all([...held.values()].map((route) => route.continue()));
  assert.equal((await inCookie.answerOf(tab)).status, 200);
  assert.equal(front.refreshes, before + 1);
});

test("beyond the modules that these parts import themselves, a page load waits for no others", async () => {
  const file = (name) => fileURLToPath(new URL(name, SOURCES));
  const graph = async (...names) => {
    const { metafile } = await build({
      entryPoints: names.map(file), bundle: true, splitting: true, format: "esm", outdir: "/bundle", metafile: true, write: false,
    });
    return metafile.inputs;
  };
  const statically = (inputs, from) =>
    from.flatMap((name) => inputs[name].imports.filter(({ kind }) => kind === "import-statement").map(({ path }) => path));
  const core = await graph("core.js");
  const known = new Set();
  const ofCore = Object.keys(core).filter((name) => name.endsWith("src/core.js"));
  for (let front = ofCore; front.length; front = statically(core, front).filter((name) => !known.has(name))) {
    for (const name of front) known.add(name);
  }
  const all = await graph("refresh.js", "account.js", "upkeep.js");
  let front = Object.keys(all).filter((name) => /src\/(refresh|account|upkeep)\.js$/.test(name));
  assert.equal(front.length, 3);
  const steps = [];
  for (; front.length; front = [...new Set(statically(all, front))].filter((name) => !known.has(name))) {
    for (const name of front) known.add(name);
    steps.push(front.map((name) => name.split("/src/").at(-1)).sort());
  }
  assert.equal(steps.length, 2, JSON.stringify(steps));
});
