/** The parts of the client that are loaded only when they are needed: when that is, and what if they cannot be had. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";

import { ask, signIn, skip, stage } from "../chromium/support/stage.js";
import * as inCookie from "../cookie/support/stage.js";
import { within } from "../chromium/support/within.js";

const ENTRY = fileURLToPath(new URL("../../src/core.js", import.meta.url));
const PARTS = /\/(refresh|account|upkeep|fallbacks|damaged|body_speech|dialect|dialects|members|contradictions|samples)\.js/;

/** The parts that a tab asks for from now on. */
function parts(tab) {
  const asked = [];
  tab.on("request", (request) => PARTS.test(request.url()) && asked.push(PARTS.exec(request.url())[1]));
  return asked;
}

test("a page that is signed in, sends requests and renews waits for none of the parts that others need", { skip }, async (t) => {
  const { front, context, signedIn } = await inCookie.stage(t);
  const [tab] = await signedIn();
  const held = [];
  // What it does unasked is loaded with its first use, and nothing waits for it. So is the refresh, which this page needs.
  await context.route("**/upkeep.js*", (route) => void held.push(route));
  const asked = parts(tab);
  await tab.reload();
  await inCookie.ready(tab);
  assert.equal(await inCookie.restore(tab), true);
  for (let round = 1; round <= 2; round += 1) {
    front.expire();
    assert.equal((await inCookie.ask(tab)).status, 200);
    assert.equal(front.refreshes, round);
  }
  assert.deepEqual(asked, ["refresh", "upkeep"]);
  assert.equal(held.length, 1);
  assert.equal(await inCookie.logout(tab), null);
  assert.deepEqual(asked, ["refresh", "upkeep", "account"]);
});

test("a page whose tokens come in bodies also loads how those are spelled, before its first request", { skip }, async (t) => {
  const { server, signedIn } = await stage(t);
  const [tab] = await signedIn();
  const asked = parts(tab);
  await tab.reload();
  await tab.waitForFunction(() => window.isReady);
  assert.equal(await tab.evaluate(() => session.restore()), true);
  await server.expire();
  assert.equal((await ask(tab, "/x")).status, 200);
  assert.deepEqual(asked, ["refresh", "body_speech", "upkeep"]);
});

test("what a page does unasked is asked for again with its next use, where it did not load", { skip }, async (t) => {
  const { context, signedIn } = await inCookie.stage(t);
  const [tab, other] = await signedIn(2);
  let isGone = true;
  await context.route("**/upkeep.js*", (route) => (isGone ? route.abort() : route.fallback()));
  await tab.reload();
  await inCookie.ready(tab);
  const asked = parts(tab);
  // The second time by another name, for a browser remembers what it could not load.
  const failed = tab.waitForEvent("requestfailed", (request) => /upkeep\.js\?1$/.test(request.url()));
  assert.equal(await inCookie.restore(tab), true);
  await failed;
  isGone = false;
  const isThere = async () => {
    while (!(await tab.evaluate(() => session.token().then(() => performance.getEntriesByName(`${origin}/client/upkeep.js?2`).length)))) ;
  };
  await within("a later use", isThere());
  assert.deepEqual([...new Set(asked)], ["refresh", "upkeep"]);
  assert.equal(await inCookie.logout(other), null);
  await inCookie.heard(tab, "signedout");
});

test("a session with a dialect loads its reader at its first use, and the built-in ones only for a name", { skip }, async (t) => {
  const { tab: open } = await stage(t);
  const tab = await open();
  const asked = parts(tab);
  await tab.evaluate(() => begin({ store: evertoken.memoryStore(), dialect: {}, delivery: undefined }));
  assert.deepEqual(asked, []);
  assert.equal(await tab.evaluate(() => session.restore()), false);
  assert.deepEqual(asked.toSorted(), ["contradictions", "dialect", "members", "refresh", "samples", "upkeep"]);
  await tab.evaluate(() => begin({ store: evertoken.memoryStore(), dialect: "nest", delivery: undefined }));
  assert.equal(await tab.evaluate(() => session.restore()), false);
  assert.equal(asked.at(-1), "dialects");
});

test("a part that cannot be loaded rejects with refresh_unavailable, and is tried again the next time", { skip }, async (t) => {
  const { context, tab: open } = await stage(t);
  const tab = await open();
  await context.route("**/account.js*", (route) => route.abort());
  for (let turn = 0; turn < 2; turn += 1) {
    const { code, message } = await signIn(tab);
    assert.equal(code, "refresh_unavailable");
    assert.match(message, /a part of the client does not load: .*account\.js/);
  }
  await context.unroute("**/account.js*");
  assert.equal(await signIn(tab), null);
  const asked = parts(tab);
  assert.equal(await tab.evaluate(() => session.logout().catch(tell)), undefined);
  assert.deepEqual(asked, [], "once is enough");
});

test("a server that never answers with a part holds nobody up for ever", { skip }, async (t) => {
  const { context, tab: open } = await stage(t);
  const tab = await open();
  const held = [];
  await context.route("**/account.js*", (route) => void held.push(route));
  assert.equal((await signIn(tab)).code, "refresh_unavailable");
  assert.equal(held.length, 1);
  await held[0].continue();
  await context.unroute("**/account.js*");
  assert.equal(await signIn(tab), null);
});

test("a part that fails to load and whose second try is never answered holds nobody up for ever", { skip }, async (t) => {
  const { context, tab: open } = await stage(t);
  const tab = await open();
  const held = [];
  let isFirst = true;
  await context.route("**/account.js*", (route) => {
    if (!isFirst) return void held.push(route);
    isFirst = false;
    return route.abort();
  });
  assert.equal((await within("an answer", signIn(tab), 20)).code, "refresh_unavailable");
  assert.equal(held.length, 1);
  await context.unroute("**/account.js*");
  assert.equal(await signIn(tab), null);
});

test("in a bundle that is split, the parts are files of their own, loaded when they are needed", { skip }, async (t) => {
  const { context, server, tab: open } = await stage(t);
  const { outputFiles } = await build({
    entryPoints: [ENTRY], bundle: true, splitting: true, minify: true, format: "esm", outdir: "/bundle", write: false,
  });
  await context.route("**/client/**", (route) => {
    const name = new URL(route.request().url()).pathname.split("/").at(-1).replace("index.js", "core.js");
    const file = outputFiles.find((each) => each.path.endsWith(`/${name}`));
    return file ? route.fulfill({ contentType: "text/javascript", body: file.text }) : route.abort();
  });
  let isGone = true;
  await context.route("**/client/account-*", (route) => (isGone ? route.abort() : route.fallback()));
  const tab = await open();
  assert.equal((await signIn(tab)).code, "refresh_unavailable");
  isGone = false;
  assert.equal(await signIn(tab), null);
  await server.expire();
  assert.equal((await ask(tab, "/x")).status, 200);
  assert.equal(await tab.evaluate(() => session.logout().catch(tell)), undefined);
});
