// @ts-check
/** Refreshes that fail, sign-outs and sign-ins in their midst: tokens are kept unless it is certain that it is over. */

import assert from "node:assert/strict";

import { ALL, AXIOS, statuses, story, times } from "./support/stage.js";

/** @type {[string, import("./support/api.js").Answer][]} */
const FAULTS = [
  ["500", { status: 500, body: "<h1>oops</h1>" }],
  ["502 from a proxy", { status: 502, headers: { "Content-Type": "text/html" }, body: "<h1>Bad Gateway</h1>" }],
  ["a connection that breaks", { body: { access_token: "x".repeat(500) }, cut: true }],
  ["a page of HTML", { headers: { "Content-Type": "text/html" }, body: "<!doctype html><h1>Sign in</h1>" }],
  ["nothing", { body: "" }],
];

for (const [how, answer] of FAULTS) {
  const title = `axios keeps the tokens where the refresh is answered with ${how}`;
  story(title, AXIOS, {}, async ({ api, tab }) => {
    const before = await tab.run((faults) => faults.store.load());
    api.expire();
    api.script = [answer];
    assert.deepEqual(statuses(await tab.many(5, "/x")), times(5, "refresh_unavailable"));
    assert.equal(await tab.run((faults) => faults.store.load()), before);
    await tab.run((faults) => faults.moveClock(2));
    assert.deepEqual(statuses(await tab.many(5, "/x")), times(5));
    assert.deepEqual([api.refreshes, await tab.events()], [2, []]);
  });
}

story("a Retry-After is kept to, whoever asks, and the tokens are kept", ALL, {}, async ({ api, tab }) => {
  api.expire();
  api.script = [{ status: 429, headers: { "Retry-After": "120" }, body: {} }];
  const [first, second] = await tab.many(2, "/x");
  assert.deepEqual([first.code, second.code], times(2, "refresh_unavailable"));
  assert.ok(first.retryAfterSeconds > 60 && first.retryAfterSeconds <= 120, String(first.retryAfterSeconds));
  await tab.run((faults) => faults.moveClock(100));
  assert.equal((await tab.call("/x")).code, "refresh_unavailable");
  assert.equal(api.refreshes, 1, "not before its time");
  await tab.run((faults) => faults.moveClock(25));
  assert.equal((await tab.call("/x")).status, 200);
  assert.deepEqual([api.refreshes, await tab.events()], [2, []]);
});

story("a token that is still good is used while no new one is to be had", ALL, {}, async ({ api, tab }) => {
  await tab.run((faults) => faults.moveClock(3595));
  api.script = times(3, { status: 503, body: {} });
  for (let turn = 0; turn < 3; turn += 1) assert.deepEqual(statuses(await tab.many(3, "/x")), times(3));
  assert.equal(api.refreshes, 1, "after a failure it rests");
  assert.deepEqual(await tab.events(), []);
});

story("axios gives up a refresh that gets no answer, and the next one works", AXIOS, { timeoutSeconds: 0.4 },
  async ({ api, tab }) => {
    api.expire();
    const refresh = api.hold("/auth/refresh");
    assert.deepEqual(statuses(await tab.many(4, "/x")), times(4, "refresh_unavailable"));
    api.holdNoMore("/auth/refresh");
    await tab.run((faults) => faults.moveClock(2));
    assert.deepEqual(statuses(await tab.many(4, "/x")), times(4));
    assert.deepEqual(await tab.events(), []);
    // Its answer comes too late; nobody waits for it any more, and it would be a second use of the token.
    api.routes.set("/auth/refresh", () => ({ status: 503 }));
    refresh.release();
  });

story("a sign-out during a refresh stays one, and no request is left waiting", AXIOS, {}, async ({ api, tab }) => {
  api.expire();
  const refresh = api.hold("/auth/refresh");
  for (const name of ["a", "b", "c"]) await tab.start(name, "/x");
  await refresh.arrived();
  const leaving = tab.run((faults) => faults.session.logout());
  refresh.release();
  await leaving;
  for (const name of ["a", "b", "c"]) await tab.end(name);
  assert.deepEqual(statuses(await tab.many(3, "/x")), times(3, "signed_out"));
  assert.equal(await tab.run((faults) => faults.store.load()), null, "no tokens were written back");
  assert.deepEqual(await tab.events(), ["signed_out"]);
  assert.equal(api.calls.filter(({ path }) => path === "/auth/logout").length, 1);
});

story("a request of one user that waits is not sent as the one who signs in in another tab", AXIOS, { store: "users" },
  async ({ api, tab, caller, another }) => {
    const other = await another();
    other.caller = caller;
    await other.begin({ store: "users" }, null);
    api.expire();
    const refresh = api.hold("/auth/refresh");
    await tab.start("mine", "/mine");
    await refresh.arrived();
    await other.run((faults) => faults.signIn("bob"));
    refresh.release();
    const mine = await tab.end("mine");
    assert.deepEqual([mine.code, mine.reason], ["signed_out", "signed_in_anew"]);
    assert.equal(api.of("/mine").length, 1, "only with the token of before");
    assert.equal((await other.call("/x")).data.subject, "bob");
    assert.deepEqual(await tab.events(), ["signed_in_anew"]);
    await other.page.close();
  });

story("a request of one user that waits is not sent as the one who signs in in the same tab", AXIOS, {},
  async ({ api, tab }) => {
    api.expire();
    const refresh = api.hold("/auth/refresh");
    await tab.start("mine", "/mine");
    await refresh.arrived();
    await tab.run((faults) => faults.signIn("bob"));
    refresh.release();
    const mine = await tab.end("mine");
    assert.deepEqual([mine.code, mine.reason], ["signed_out", "signed_in_anew"]);
    assert.equal(api.of("/mine").length, 1, "only with the token of before");
    assert.equal((await tab.call("/x")).data.subject, "bob");
  });

story("a refusal of the refresh ends nothing where a better token has been stored meanwhile", ALL, {},
  async ({ api, tab }) => {
    api.expire();
    api.script = [{ status: 401, body: { code: "token_invalid" } }];
    const refresh = api.hold("/auth/refresh");
    await tab.start("mine", "/x");
    await refresh.arrived();
    // As by a tab without Web Locks, or a browser whose locks are separate.
    await tab.run(async (faults) => {
      const other = faults.evertoken.createSession({ store: faults.store, dialect: {} });
      await other.login({ username: "ada", password: "right" });
      other.close?.();
    });
    refresh.release();
    assert.equal((await tab.end("mine")).status, 200);
    assert.deepEqual([api.refreshes, await tab.events()], [1, []]);
  });

story("the end is told once, no request hangs, and the client navigates nowhere", ALL, {}, async ({ api, tab }) => {
  let navigations = 0;
  tab.page.on("framenavigated", () => (navigations += 1));
  const before = tab.page.url();
  const slow = api.hold("/slow");
  await tab.start("slow", "/slow");
  await slow.arrived();
  api.end();
  assert.deepEqual(statuses(await tab.many(20, "/x")), times(20, "signed_out"));
  slow.release();
  // It had been sent while the token was good, and the API has answered it.
  assert.equal((await tab.end("slow")).status, 200);
  assert.deepEqual(statuses(await tab.many(20, "/x")), times(20, "signed_out"));
  assert.deepEqual([(await tab.events()).length, api.refreshes, api.of("/x").length], [1, 1, 20]);
  assert.deepEqual([navigations, tab.page.url()], [0, before]);
});
