// @ts-check
/** useSession with the real React: in a real browser, and rendered on a server. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { createElement } from "react";
import { renderToString } from "react-dom/server";

import { createSession } from "../../src/index.js";
import { useSession } from "../../src/react.js";
import { skip, stage } from "../streams/support/chromium.js";
import { bundled, COMMON, page, says } from "./support/bundle.js";

const WHO = "{ username: 'ada', password: 'correct-horse-battery' }";

/** Three components that each fetch when they are mounted, in StrictMode; one of them draws. */
const APP = skip ? "" : await bundled(`${COMMON}
  import { createElement, StrictMode, useEffect } from "react";
  import { createRoot, hydrateRoot } from "react-dom/client";
  import { useSession } from "../../src/react.js";

  window.mounts = 0;
  function Status() {
    const now = useSession(session);
    window.renders += 1;
    return said(now);
  }
  function Tile() {
    const { status } = useSession(session);
    useEffect(() => {
      window.mounts += 1;
      if (status === "signed_in") fetchTile();
    }, [status]);
    return null;
  }
  const app = createElement(StrictMode, null, createElement(Status), createElement(Tile), createElement(Tile));
  window.mismatches = [];
  const place = document.querySelector("#app");
  const onRecoverableError = (error) => window.mismatches.push(error.message);
  if (location.search.includes("late")) await session.restore();
  if (place.textContent) window.root = hydrateRoot(place, app, { onRecoverableError });
  else (window.root = createRoot(place)).render(app);
  window.isReady = true;
`);

/** @param {import("node:test").TestContext} t @param {string} [html] */
async function react(t, html) {
  const staged = await stage(t, { page: page(html) });
  staged.server.files.set("/app.js", APP);
  return staged;
}

test("under React's StrictMode, which mounts twice, components of one session make one restore and one refresh", { skip }, async (t) => {
  const { server, signedIn } = await react(t);
  const tab = await signedIn();
  await says(tab, "signed_in ada");
  server.expire();
  await tab.reload();
  await says(tab, "signed_in ada");
  await tab.waitForFunction("mounts >= 4");
  const answers = /** @type {any[]} */ (await tab.evaluate("Promise.all(tiles)"));
  assert.ok(answers.length >= 2 && answers.every((status) => status === 200), `${answers}`);
  assert.equal(await tab.evaluate("restores"), 1);
  assert.equal(server.refreshes, 1);
  assert.equal(server.reuses, 0);
});

test("a React page draws loading, signed_in with the user, signed_out with the reason", { skip }, async (t) => {
  const { tab: open } = await react(t);
  const tab = await open();
  await says(tab, "signed_out");
  await tab.evaluate(`session.login(${WHO})`);
  await says(tab, "signed_in ada");
  await tab.evaluate("session.logout()");
  await says(tab, "signed_out signed_out");
  await tab.evaluate("session.login({ username: 'bob', password: 'staple-of-the-stable' })");
  await says(tab, "signed_in bob");
});

test("a renewed token draws no React component anew", { skip }, async (t) => {
  const { server, signedIn } = await react(t);
  const tab = await signedIn();
  await says(tab, "signed_in ada");
  const before = await tab.evaluate("renders");
  for (let round = 0; round < 3; round += 1) await tab.evaluate("session.renew()");
  // What React has put off is drawn by the time another change is.
  await tab.evaluate("session.logout()");
  await says(tab, "signed_out signed_out");
  assert.equal(server.refreshes, 3);
  assert.equal(await tab.evaluate("renders"), Number(before) + 2, "StrictMode draws once more what has changed once");
});

test("a sign-in and a sign-out in another tab reach a React page", { skip }, async (t) => {
  const { tab: open } = await react(t);
  const [one, two] = [await open(), await open()];
  await says(one, "signed_out");
  await says(two, "signed_out");
  await two.evaluate(`session.login(${WHO})`);
  await says(one, "signed_in ada");
  await two.evaluate("session.logout()");
  await says(one, "signed_out signed_out");
});

test("a server that cannot be asked leaves a React page loading, with the reason, until it answers", { skip }, async (t) => {
  const { server, context } = await react(t);
  let status = 503;
  await context.route("**/auth/csrf", (route) => route.fulfill({ status, json: {} }));
  const tab = await context.newPage();
  await tab.clock.install();
  await tab.goto(`${server.url}/page?cookie`);
  await says(tab, "loading refresh_unavailable");
  await tab.clock.fastForward(5_000);
  await tab.waitForFunction("restores === 2");
  await says(tab, "loading refresh_unavailable");
  status = 401;
  await tab.clock.fastForward(5_000);
  await says(tab, "signed_out");
});

test("a page that React has rendered on a server is taken over as it stands, without a mismatch", { skip }, async (t) => {
  const session = createSession({ baseURL: "https://api.example.com" });
  const html = renderToString(createElement(() => useSession(session).status));
  assert.equal(html, "loading");
  const { server, signedIn } = await react(t, html);
  const tab = await signedIn();
  await says(tab, "signed_in ada");
  for (const when of ["early", "late"]) {
    await tab.goto(`${server.url}/page?${when}`);
    await says(tab, "signed_in ada");
    assert.deepEqual(await tab.evaluate("mismatches"), [], `the session is restored ${when}`);
  }
});

test("when a React page is unmounted nothing of it is told any more", { skip }, async (t) => {
  const { signedIn } = await react(t);
  const tab = await signedIn();
  await says(tab, "signed_in ada");
  await tab.evaluate("root.unmount()");
  const before = await tab.evaluate("renders");
  await tab.evaluate("session.logout()");
  assert.equal(await tab.evaluate("renders"), before);
  assert.equal(await tab.textContent("#app"), "");
});

test("rendered on a server, React's hook says loading and asks for nothing", (t) => {
  const asked = t.mock.method(globalThis, "fetch", () => assert.fail("the network was asked"));
  const session = createSession({ baseURL: "https://api.example.com" });
  t.mock.method(session, "restore", () => assert.fail("the session was restored"));
  const drawn = renderToString(createElement(() => JSON.stringify(useSession(session))));
  assert.equal(drawn.replaceAll("&quot;", '"'), '{"status":"loading","reason":null,"user":null}');
  assert.equal(asked.mock.callCount(), 0);
});
