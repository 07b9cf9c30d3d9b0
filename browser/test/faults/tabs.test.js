// @ts-check
/** Tabs, time, and pages that lack something, for axios beside fetch. */

import assert from "node:assert/strict";

import { ALL, AXIOS, LAN, ONE, statuses, story, times } from "./support/stage.js";

story("five tabs, each with another caller, whose tokens expire at once make one refresh", ONE, { store: "five" },
  async ({ api, tab, another }) => {
    const tabs = [tab];
    for (const caller of AXIOS) {
      const other = await another();
      other.caller = caller;
      await other.begin({ store: "five" }, null);
      tabs.push(other);
    }
    for (let trial = 1; trial <= 8; trial += 1) {
      api.expire();
      const answers = await Promise.all(tabs.map((each) => each.many(5, "/x")));
      assert.deepEqual(statuses(answers.flat()), times(25), `trial ${trial}`);
      assert.equal(api.refreshes, trial);
    }
    for (const each of tabs) assert.deepEqual(await each.events(), []);
  });

story("a listener that itself asks and waits holds nobody up", ALL, {}, async ({ api, tab }) => {
  api.expire();
  const answers = await tab.run(async (faults, _, caller) => {
    const asked = /** @type {Promise<any>[]} */ ([]);
    const ask = async () => {
      asked.push(faults.call(caller, { url: "/listener" }));
      await asked[asked.length - 1];
      await faults.session.renew();
    };
    const asks = /** @type {Promise<any>[]} */ ([]);
    faults.session.addEventListener("token", () => asks.push(ask()), { once: true });
    const first = await faults.call(caller, { url: "/x" });
    await Promise.all(asks);
    return [first, ...(await Promise.all(asked))];
  });
  assert.deepEqual(statuses(answers), [200, 200]);
  assert.equal(api.refreshes, 2);
});

story("a listener that signs out and asks again holds nobody up", ALL, {}, async ({ api, tab }) => {
  await tab.run((faults, _, caller) => {
    faults.session.addEventListener("signedout", async () => {
      await faults.session.logout();
      faults.kept.later = await faults.call(caller, { url: "/x" });
    });
  });
  api.end();
  assert.deepEqual(statuses(await tab.many(3, "/x")), times(3, "signed_out"));
  assert.equal((await tab.events()).length, 1);
  await tab.run((faults) => faults.signIn());
  assert.equal((await tab.call("/x")).status, 200);
});

story("over plain http in a LAN, without Web Locks and crypto, each caller makes one refresh", ONE, {},
  async ({ api, another }) => {
    const tab = await another(LAN);
    assert.equal(await tab.run(() => isSecureContext), false);
    for (const caller of ALL) {
      tab.caller = caller;
      await tab.begin({ store: "lan" });
      api.expire();
      const before = api.refreshes;
      assert.deepEqual(statuses(await tab.many(10, "/x")), times(10), caller);
      assert.equal(api.refreshes - before, 1, caller);
    }
  });

story("twelve pollers that wake together after hours make one refresh", ALL, {}, async ({ api, tab }) => {
  for (let night = 1; night <= 3; night += 1) {
    await tab.run((faults) => faults.moveClock(8 * 3600));
    assert.deepEqual(statuses(await tab.many(12, "/poll")), times(12));
    assert.equal(api.refreshes, night);
  }
  assert.equal(api.of("/poll").length, 36, "none with a token that is known to have expired");
});

story("a page that sleeps past the end of its token while a request waits goes on when it wakes", ALL, {},
  async ({ api, tab }) => {
    api.expire();
    const refresh = api.hold("/auth/refresh");
    await tab.start("sleeper", "/x");
    await refresh.arrived();
    // It wakes after the lifetime of the token that is on its way to it.
    await tab.run((faults) => faults.moveClock(4000));
    refresh.release();
    assert.equal((await tab.end("sleeper")).status, 200);
    assert.deepEqual(await tab.events(), []);
    assert.equal((await tab.call("/y")).status, 200);
    assert.ok(api.refreshes <= 2, `${api.refreshes} refreshes`);
  });
