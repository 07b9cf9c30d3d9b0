// @ts-check
/** How APIs say that a token has expired, and what only looks like it. */

import assert from "node:assert/strict";

import { ALL, ONE, SIBLING, statuses, story, times } from "./support/stage.js";

const IN_BODY = {
  expired: [
    { status: 401 },
    { status: 200, body: { "/statusCode": [401] } },
    { status: 200, body: { "/code": [401] } },
  ],
};

for (const body of [{ statusCode: 401 }, { code: 401 }, { code: "401" }]) {
  const title = `200 with ${JSON.stringify(body)} is a refusal where the dialect says so`;
  story(title, ALL, { dialect: IN_BODY }, async ({ api, tab }) => {
    api.refusal = { body: { ...body, message: "expired" } };
    api.expire();
    const answers = await tab.many(4, "/x");
    assert.deepEqual(answers.map(({ data }) => data.code), times(4, 0));
    assert.equal(api.refreshes, 1);
    api.routes.set("/never", () => api.refusal);
    assert.deepEqual((await tab.call("/never")).data, api.refusal.body);
    assert.equal(api.of("/never").length, 2);
  });
}

story("400 with 401 in it means expired, and 400 with 402 that it is over", ALL, {
  dialect: {
    expired: [{ status: 400, body: { "/code": [401] } }],
    over: [{ status: 400, body: { "/code": [402] } }],
    refresh_over: [{ status: 400, body: { "/code": [402] } }],
  },
}, async ({ api, tab }) => {
  api.refusal = { status: 400, body: { code: 401 } };
  api.expire();
  assert.deepEqual(statuses(await tab.many(3, "/x")), times(3));
  api.routes.set("/rule", () => ({ status: 400, body: { code: 123 } }));
  assert.deepEqual(await tab.call("/rule"), { status: 400, data: { code: 123 } });
  // A 401 that the dialect does not name is the application's own.
  api.routes.set("/own", () => ({ status: 401, body: {} }));
  assert.equal((await tab.call("/own")).status, 401);
  assert.equal(api.refreshes, 1);
  api.expire();
  api.script = [{ status: 400, body: { code: 402 } }];
  assert.deepEqual(statuses(await tab.many(3, "/x")), times(3, "signed_out"));
  assert.equal((await tab.events()).length, 1);
});

story("a refresh answered with 200 and an error leaves the tokens as they were", ALL, {}, async ({ api, tab }) => {
  const before = await tab.run((faults) => faults.store.load());
  api.expire();
  for (const body of [{ statusCode: 401, message: "no" }, { access_token: null }, { access_token: "" }]) {
    api.script = [{ body }];
    assert.deepEqual(statuses(await tab.many(3, "/x")), times(3, "refresh_unavailable"));
    assert.equal(await tab.run((faults) => faults.store.load()), before);
    await tab.run((faults) => faults.moveClock(40));
  }
  assert.equal((await tab.call("/x")).status, 200);
});

const FILE = Buffer.from(Array.from({ length: 3000 }, (_, index) => index % 256));

for (const responseType of ["blob", "arraybuffer"]) {
  const title = `a refusal in place of a download is not saved as the file: ${responseType}`;
  story(title, ALL, { dialect: IN_BODY }, async ({ api, tab }) => {
    api.refusal = { headers: { "Content-Type": "application/json;charset=UTF-8" }, body: '{"code": 401}' };
    api.routes.set("/file", (_, isGood) =>
      isGood ? { headers: { "Content-Type": "application/octet-stream" }, body: FILE } : null);
    api.expire();
    const { status, data } = await tab.call("/file", { responseType });
    assert.deepEqual([status, data.bytes, api.refreshes], [200, FILE.length, 1]);
    api.routes.set("/never", () => api.refusal);
    assert.deepEqual((await tab.call("/never", { responseType })).data.text, '{"code": 401}');
  });

  const large = `a large JSON download is not looked into: ${responseType}`;
  story(large, ALL, { dialect: IN_BODY }, async ({ api, tab }) => {
    const body = JSON.stringify({ code: 401, filler: "x".repeat(1_500_000) });
    const headers = { "Content-Type": "application/json" };
    api.routes.set("/export", () => ({ headers, body }));
    assert.equal((await tab.call("/export", { responseType })).data.bytes, body.length);
    // Chunked or compressed, its length is known only when it is there.
    api.routes.set("/chunked", () => ({ headers, body, isUnmeasured: true }));
    assert.equal((await tab.call("/chunked", { responseType })).data.bytes, body.length);
    assert.deepEqual([api.refreshes, api.seen.length], [0, 2]);
  });
}

story("a length that is no number does not hide a refusal", ALL, { dialect: IN_BODY }, async ({ api, tab }) => {
  const odd = { "Content-Type": "application/json", "Content-Length": "0x200000", Connection: "close" };
  api.refusal = { headers: odd, body: '{"code": 401}' };
  api.expire();
  assert.equal((await tab.call("/x")).data.code, 0);
  assert.equal(api.refreshes, 1);
});

story("a wrong password renews nothing and signs nobody out", ALL, {}, async ({ api, tab }) => {
  const body = { json: { username: "ada", password: "wrong" } };
  assert.equal((await tab.call("/auth/login", { method: "POST", body })).status, 401);
  const told = await tab.run((faults) =>
    faults.session.login({ username: "ada", password: "wrong" }).catch(faults.tell));
  assert.equal(told.code, "sign_in_refused");
  assert.equal((await tab.call("/x")).status, 200);
  assert.equal(api.refreshes, 0);
  assert.deepEqual(await tab.events(), []);
});

story("a 401 with another reason is the application's own", ALL, {
  dialect: { expired: [{ status: 401, body: { "/code": ["token_expired"] } }] },
}, async ({ api, tab }) => {
  api.refusal = { status: 401, body: { code: "token_expired" } };
  api.routes.set("/boss", () => ({ status: 401, body: { code: "not_yours" } }));
  assert.deepEqual(await tab.call("/boss"), { status: 401, data: { code: "not_yours" } });
  assert.deepEqual([api.refreshes, api.of("/boss").length], [0, 1]);
  api.expire();
  assert.equal((await tab.call("/x")).status, 200);
});

story("a 401 that CORS hides is a network error, and is not taken for an expired token", ALL, { user: null },
  async ({ api, tab, origin }) => {
    const sibling = origin.replace("127.0.0.1", SIBLING);
    api.refusal = { status: 401, isMute: true };
    await tab.begin({ origins: [sibling] });
    assert.equal((await tab.call(`${sibling}/x`)).status, 200);
    api.expire();
    const hidden = await tab.call(`${sibling}/x`);
    assert.match(hidden.message, /Failed to fetch|Network Error/);
    assert.deepEqual([api.refreshes, api.of("/x").length], [0, 2]);
    assert.deepEqual(await tab.events(), []);
    // It is renewed where its time has come.
    await tab.run((faults) => faults.moveClock(3700));
    assert.equal((await tab.call(`${sibling}/x`)).status, 200);
    assert.equal(api.refreshes, 1);
  });

story("403, 419 and 440 mean expired where the dialect says so, all at once", ALL, {
  dialect: { expired: [{ status: 403 }, { status: 419 }, { status: 440 }] },
}, async ({ api, tab }) => {
  const codes = [403, 419, 440];
  for (const status of codes) api.routes.set(`/${status}`, (_, isGood) => (isGood ? null : { status, body: {} }));
  api.expire();
  for (const status of codes) await tab.start(String(status), `/${status}`);
  for (const status of codes) assert.equal((await tab.end(String(status))).status, 200);
  assert.equal(api.refreshes, 1);
});

story("403, 419 and 440 are the application's own where the dialect does not name them", ALL, {},
  async ({ api, tab }) => {
    for (const status of [403, 419, 440]) {
      api.routes.set(`/${status}`, () => ({ status, body: { status } }));
      assert.deepEqual(await tab.call(`/${status}`), { status, data: { status } });
    }
    assert.deepEqual([api.refreshes, api.seen.length], [0, 3]);
  });

story("an answer that was looked into reaches fetch as a body that is still to be read", ONE, { dialect: IN_BODY },
  async ({ tab }) => {
    const read = await tab.run(async (faults) => {
      const response = await faults.session.fetch("/x");
      return [response.bodyUsed, (await response.json()).code, response.bodyUsed];
    });
    assert.deepEqual(read, [false, 0, true]);
  });
