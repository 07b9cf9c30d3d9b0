// @ts-check
/** useSession with the real Vue: in a real browser, in an effect scope, and rendered on a server. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { createSSRApp, effectScope, h, isReadonly, nextTick, watch } from "vue";
import { renderToString } from "vue/server-renderer";

import { createSession, memoryStore } from "../../src/index.js";
import { useSession } from "../../src/vue.js";
import { skip, stage } from "../streams/support/chromium.js";
import { Server } from "../streams/support/server.js";
import { bundled, COMMON, page, says } from "./support/bundle.js";

const WHO = { username: "ada", password: "correct-horse-battery" };

const APP = skip ? "" : await bundled(`${COMMON}
  import { createApp, createSSRApp, h, watch } from "vue";
  import { useSession } from "../../src/vue.js";

  const Status = { setup() {
    const { status, reason, user } = useSession(session);
    return () => (window.renders += 1, said({ status: status.value, reason: reason.value, user: user.value }));
  } };
  const Tile = { setup() {
    const { status } = useSession(session);
    watch(status, (now) => now === "signed_in" && fetchTile(), { immediate: true });
    return () => "";
  } };
  window.warnings = [];
  console.warn = (...said) => window.warnings.push(said.join(" "));
  const place = document.querySelector("#app");
  const App = { render: () => [h(Status), h(Tile), h(Tile)] };
  if (location.search.includes("late")) await session.restore();
  window.app = place.textContent ? createSSRApp(Status) : createApp(App);
  app.mount(place);
  window.isReady = true;
`);

/** @param {import("node:test").TestContext} t @param {string} [html] */
async function vue(t, html) {
  const staged = await stage(t, { page: page(html) });
  staged.server.files.set("/app.js", APP);
  return staged;
}

test("Vue components of one session make one restore and one refresh", { skip }, async (t) => {
  const { server, signedIn } = await vue(t);
  const tab = await signedIn();
  await says(tab, "signed_in ada");
  server.expire();
  await tab.reload();
  await says(tab, "signed_in ada");
  assert.deepEqual(await tab.evaluate("Promise.all(tiles)"), [200, 200]);
  assert.equal(await tab.evaluate("restores"), 1);
  assert.equal(server.refreshes, 1);
  assert.deepEqual(await tab.evaluate("warnings"), []);
});

test("a Vue page draws signed_in with the user and signed_out with the reason, also from another tab", { skip }, async (t) => {
  const { tab: open } = await vue(t);
  const [tab, other] = [await open(), await open()];
  await says(tab, "signed_out");
  await other.evaluate("session.login({ username: 'ada', password: 'correct-horse-battery' })");
  await says(tab, "signed_in ada");
  const before = await tab.evaluate("renders");
  await tab.evaluate("session.renew()");
  await other.evaluate("session.logout()");
  await says(tab, "signed_out signed_out");
  assert.equal(await tab.evaluate("renders"), Number(before) + 1, "a renewal draws nothing anew");
});

test("a page that Vue has rendered on a server is taken over as it stands, without a mismatch", { skip }, async (t) => {
  const session = createSession({ baseURL: "https://api.example.com" });
  const app = createSSRApp({ setup: () => ((now) => () => now.status.value)(useSession(session)) });
  const html = await renderToString(app);
  assert.equal(html, "loading");
  const { server, signedIn } = await vue(t, html);
  const tab = await signedIn();
  await says(tab, "signed_in ada");
  for (const when of ["early", "late"]) {
    await tab.goto(`${server.url}/page?${when}`);
    await says(tab, "signed_in ada");
    assert.deepEqual(await tab.evaluate("warnings"), [], `the session is restored ${when}`);
  }
});

test("when a Vue page is unmounted nothing of it is told any more", { skip }, async (t) => {
  const { signedIn } = await vue(t);
  const tab = await signedIn();
  await says(tab, "signed_in ada");
  await tab.evaluate("app.unmount()");
  const before = await tab.evaluate("renders");
  await tab.evaluate("session.logout()");
  assert.equal(await tab.evaluate("renders"), before);
});

test("in an effect scope outside of components Vue's refs follow the session until the scope is stopped", async (t) => {
  const server = await Server.start();
  t.after(() => server.stop());
  const session = createSession({ baseURL: server.url, store: memoryStore() });
  const scope = effectScope();
  const now = /** @type {ReturnType<typeof useSession>} */ (scope.run(() => useSession(session)));
  assert.ok([now.status, now.reason, now.user].every(isReadonly));
  assert.equal(now.status.value, "loading");
  await new Promise((resolve) => watch(now.status, resolve, { once: true }));
  assert.equal(now.status.value, "signed_out");
  await session.login(WHO);
  assert.deepEqual([now.status.value, now.user.value?.account], ["signed_in", "ada"]);
  scope.stop();
  await session.logout();
  await nextTick();
  assert.equal(now.status.value, "signed_in", "nobody tells it any more");
});

test("rendered on a server, Vue's composable says loading and asks for nothing", async (t) => {
  const asked = t.mock.method(globalThis, "fetch", () => assert.fail("the network was asked"));
  const session = createSession({ baseURL: "https://api.example.com" });
  t.mock.method(session, "restore", () => assert.fail("the session was restored"));
  const Status = { setup: () => ((now) => () => h("p", JSON.stringify(now.user.value ?? now.status.value)))(useSession(session)) };
  assert.equal(await renderToString(createSSRApp(Status)), "<p>&quot;loading&quot;</p>");
  assert.equal(asked.mock.callCount(), 0);
});
