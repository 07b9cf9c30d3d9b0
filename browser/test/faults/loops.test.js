// @ts-check
/** What must not go round in circles: refreshes of refreshes, tokens that are never good, clocks that are wrong. */

import assert from "node:assert/strict";

import { ALL, AXIOS, ONE, statuses, story, times } from "./support/stage.js";

const post = { method: "POST", body: { json: { refresh_token: "?" } } };

story("a 401 of the refresh URL itself renews nothing, however its URL is written", ALL, {},
  async ({ api, tab, origin }) => {
    for (const url of ["/auth/refresh", `${origin}/auth/refresh`, "/auth/refresh?a=b", "/auth/%72efresh"]) {
      assert.equal((await tab.call(url, post)).status, 401, url);
    }
    assert.equal([...api.calls, ...api.of("/auth/%72efresh")].filter(({ token }) => token !== null).length, 0);
    assert.equal(api.refreshes, 3, "only those that the application has sent itself");
  });

story("a URL that only looks like the refresh URL is a resource like any other", ALL, {}, async ({ api, tab }) => {
  const paths = ["/auth/refresh-token-log", "/user/auth/refresh", "/auth/refresh/1"];
  for (const path of paths) {
    api.expire();
    assert.equal((await tab.call(path)).status, 200, path);
  }
  assert.equal(api.refreshes, paths.length);
});

story("a resource that always refuses costs one refresh and two sendings", AXIOS, {}, async ({ api, tab }) => {
  api.routes.set("/never", () => api.refusal);
  assert.deepEqual(statuses(await tab.many(4, "/never")), times(4, 401));
  assert.deepEqual([api.refreshes, api.of("/never").length], [1, 8]);
  assert.equal((await tab.call("/never")).status, 401);
  assert.deepEqual([api.refreshes, api.of("/never").length], [1, 9], "it has not helped a moment ago");
  assert.deepEqual(await tab.events(), []);
});

story("sendings are counted though an interceptor drops every member of the config that it does not know", AXIOS, {},
  async ({ api, tab }) => {
    api.routes.set("/never", () => api.refusal);
    await tab.run((faults, _, caller) => {
      faults.instances[caller].interceptors.request.use((/** @type {any} */ config) => {
        const { url, baseURL, method, headers, data, adapter, transformRequest, validateStatus } = config;
        return { url, baseURL, method, headers, data, adapter, transformRequest, validateStatus };
      });
    });
    assert.equal((await tab.call("/never", post)).status, 401);
    assert.deepEqual([api.refreshes, api.of("/never").length], [1, 2]);
  });

story("the same options serve one request after the other, each of which may be sent again", ALL, {},
  async ({ api, tab }) => {
    const send = () =>
      tab.run(async (faults, _, caller) => {
        const isFetch = caller === "fetch";
        faults.kept.options ??= Object.freeze({
          url: "/x", method: "POST", headers: Object.freeze({ "X-Page": "1" }), [isFetch ? "body" : "data"]: "a=1",
        });
        const { options } = faults.kept;
        const sent = isFetch ? faults.session.fetch("/x", options) : faults.instances[caller].request(options);
        return (await sent).status;
      });
    for (const round of [1, 2, 3]) {
      api.expire();
      assert.equal(await send(), 200);
      assert.equal(api.refreshes, round);
    }
    const seen = api.of("/x").map(({ headers, body }) => [headers["x-page"], String(body)]);
    assert.deepEqual(seen, times(6, ["1", "a=1"]));
  });

for (const hours of [-1, 1]) {
  const title = `a clock that is ${hours} h off makes no refresh`;
  story(title, ALL, { user: null }, async ({ api, tab }) => {
    await tab.run((faults, shift) => faults.setClock(shift), hours * 3600);
    await tab.run((faults) => faults.signIn());
    for (let turn = 0; turn < 3; turn += 1) assert.deepEqual(statuses(await tab.many(3, "/x")), times(3));
    assert.equal(api.refreshes, 0);
    api.expire();
    assert.deepEqual(statuses(await tab.many(3, "/x")), times(3));
    assert.equal(api.refreshes, 1);
  });
}

story("a clock that is set while signed in costs one refresh at most, and signs nobody out", ALL, {},
  async ({ api, tab }) => {
    for (const seconds of [7200, -14_400, 90_000, -90_000]) {
      const before = api.refreshes;
      await tab.run((faults, shift) => faults.setClock(shift), seconds);
      for (let turn = 0; turn < 3; turn += 1) assert.deepEqual(statuses(await tab.many(3, "/x")), times(3));
      assert.ok(api.refreshes - before <= 1, `${api.refreshes - before} refreshes after ${seconds} s`);
    }
    assert.deepEqual(await tab.events(), []);
  });

story("a token that is said to have expired when it comes is no token, and the old one is kept", ONE, {},
  async ({ api, tab }) => {
    for (const expires_in of [0, -5, "soon"]) {
      api.expire();
      api.script = [{ body: { access_token: "a", refresh_token: "r", expires_in } }];
      await tab.run((faults) => faults.moveClock(40));
      assert.deepEqual(statuses(await tab.many(3, "/x")), times(3, "refresh_unavailable"));
    }
    assert.equal(api.refreshes, 3);
    await tab.run((faults) => faults.moveClock(40));
    assert.equal((await tab.call("/x")).status, 200);
    assert.deepEqual(await tab.events(), []);
  });

story("a token of ninety days sets no timer that fires at once", ALL, { user: null }, async ({ api, tab }) => {
  api.writes = (pair) => ({ ...pair, expires_in: 90 * 86_400 });
  const delays = await tab.run(async (faults, _, caller) => {
    const { setTimeout: timeout, setInterval: interval } = window;
    const asked = /** @type {number[]} */ ([]);
    const noting = (/** @type {any} */ set) => (/** @type {any} */ work, delay = 0, ...more) => {
      asked.push(delay);
      return set(work, delay, ...more);
    };
    Object.assign(window, { setTimeout: noting(timeout), setInterval: noting(interval) });
    try {
      await faults.signIn();
      for (let turn = 0; turn < 3; turn += 1) await faults.call(caller, { url: "/x" });
      await faults.session.renew();
      await faults.call(caller, { url: "/x" });
      return asked;
    } finally {
      Object.assign(window, { setTimeout: timeout, setInterval: interval });
    }
  });
  for (const delay of delays) assert.ok(delay < 2 ** 31, `a timer of ${delay} ms fires at once`);
  assert.deepEqual([api.refreshes, api.of("/x").length], [1, 4]);
});
