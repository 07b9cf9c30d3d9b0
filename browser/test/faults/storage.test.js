// @ts-check
/** What is stored, how often it is read, and what never gets there. */

import assert from "node:assert/strict";

import { ALL, ONE, statuses, story, times } from "./support/stage.js";

story("requests with a good token read no storage, and those that renew it read it a few times", ALL, {},
  async ({ api, tab }) => {
    const counted = await tab.run(async (faults, _, caller) => {
      let reads = 0;
      const { load } = faults.store;
      faults.store.load = () => ((reads += 1), load());
      faults.kept.reads = () => reads;
      for (let turn = 0; turn < 5; turn += 1) await faults.call(caller, { url: "/x" });
      return reads;
    });
    assert.equal(counted, 0);
    api.expire();
    assert.deepEqual(statuses(await tab.many(20, "/x")), times(20));
    assert.ok((await tab.run((faults) => faults.kept.reads())) <= 4, "not once for each of the twenty");
  });

story("a token that another tab has renewed is adopted, without a refresh", ALL, { store: "adopting" },
  async ({ api, tab, caller, another }) => {
    const other = await another();
    other.caller = caller;
    await other.begin({ store: "adopting" }, null);
    assert.equal((await other.call("/x")).status, 200);
    api.expire();
    assert.equal((await tab.call("/x")).status, 200);
    assert.equal((await other.call("/x")).status, 200);
    assert.equal(api.refreshes, 1);
    await other.page.close();
  });

story("an answer without a refresh token leaves the one there was in use", ALL, {}, async ({ api, tab }) => {
  const sent = () =>
    api.calls.filter(({ path }) => path === "/auth/refresh").map(({ body }) => JSON.parse(String(body)));
  for (const answer of [{ access_token: "a-1" }, { access_token: "a-2", refresh_token: null }]) {
    api.expire();
    await tab.run((faults) => faults.moveClock(40));
    api.script = [{ body: { ...answer, expires_in: 3600 } }];
    assert.equal((await tab.call("/x")).status, 401, "these tokens are made up, and the API refuses them");
    assert.equal(api.tokens("/x").pop(), answer.access_token);
  }
  await tab.run((faults) => faults.moveClock(40));
  assert.equal((await tab.call("/x")).status, 200);
  const [first, ...more] = sent().map(({ refresh_token }) => refresh_token);
  assert.match(first, /^refresh-/);
  assert.deepEqual(more, [first, first]);
});

story("no script writes a cookie, and neither localStorage nor sessionStorage holds a token", ALL, { store: "cookies" },
  async ({ api, tab }) => {
    api.expire();
    assert.equal((await tab.call("/x")).status, 200);
    const kept = await tab.run(() => [document.cookie, JSON.stringify({ ...localStorage, ...sessionStorage })]);
    assert.equal(kept[0], "");
    for (const secret of api.secrets) assert.ok(!kept[1].includes(secret));
  });

story("what tabs tell each other holds no token, where tokens are stored", ONE, { store: "channel" },
  async ({ api, tab }) => {
    const told = await tab.run(async (faults) => {
      const messages = /** @type {string[]} */ ([]);
      const { postMessage } = BroadcastChannel.prototype;
      BroadcastChannel.prototype.postMessage = function (message) {
        messages.push(JSON.stringify(message));
        postMessage.call(this, message);
      };
      try {
        await faults.session.renew();
        await faults.session.logout();
      } finally {
        BroadcastChannel.prototype.postMessage = postMessage;
      }
      return messages;
    });
    assert.ok(told.length > 0);
    for (const message of told) {
      for (const secret of api.secrets) assert.ok(!message.includes(secret), message);
    }
  });

story("a tab that is opened from another one shares its tokens, and has no copy of them", ONE, { store: "shared" },
  async ({ api, tab, another }) => {
    // As by "duplicate tab": what stands in sessionStorage is copied, and would have two owners from then on.
    const opening = tab.page.waitForEvent("popup");
    await tab.run(() => void window.open("/page"));
    const popup = await opening;
    await popup.waitForFunction("window.faults");
    assert.equal(await popup.evaluate("sessionStorage.length"), 0);
    await popup.close();
    const other = await another();
    await other.begin({ store: "shared" }, null);
    for (let round = 1; round <= 3; round += 1) {
      api.expire();
      const answers = await Promise.all([tab.many(3, "/x"), other.many(3, "/x")]);
      assert.deepEqual(statuses(answers.flat()), times(6));
      assert.equal(api.refreshes, round);
    }
  });

story("the refresh by cookie carries the CSRF header, and no resource is sent that header or the cookie", ALL, {
  user: null,
}, async ({ api, tab }) => {
  api.isCookie = true;
  await tab.begin({ delivery: "cookie", store: "csrf" });
  api.expire();
  assert.deepEqual(statuses(await tab.many(3, "/x")), times(3));
  const [, refresh] = api.calls;
  assert.equal(refresh.headers["x-csrf-token"], "of-the-session");
  assert.match(String(refresh.headers.cookie), /^sid=refresh-/);
  assert.doesNotMatch(String(refresh.body), /refresh-/);
  const sent = api.seen.map(({ headers }) => [headers.cookie, headers["x-csrf-token"]]);
  assert.deepEqual(sent, times(6, [undefined, undefined]));
  assert.equal(await tab.run(() => document.cookie), "");
  const kept = String(await tab.run((faults) => faults.store.load()));
  for (const secret of api.secrets) assert.ok(!kept.includes(secret), "neither token is written down");
  assert.equal(api.refreshes, 1);
});
