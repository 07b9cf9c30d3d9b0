// @ts-check
/** The built-in dialects, spoken with an API that is written from their documents: by fetch and by axios. */

import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { test } from "node:test";

import axios from "axios";

import { DIALECTS } from "../../src/dialects.js";
import { createSession, memoryStore } from "../../src/index.js";
import { Speaker } from "./support/speaker.js";

/** By a cookie speaks a browser only: test/places. */
const NAMES = Object.keys(DIALECTS).filter((name) => !DIALECTS[name].csrf);

/** @param {import("node:test").TestContext} t @param {string} name */
async function begun(t, name) {
  const api = new Speaker(DIALECTS[name]);
  const baseURL = await api.listen(t);
  const session = createSession({ baseURL, dialect: name, store: memoryStore(), timeoutSeconds: 5 });
  /** @type {string[]} */
  const ends = [];
  session.addEventListener("signedout", (event) => ends.push(/** @type {any} */ (event).reason));
  t.after(() => session.close());
  const instance = axios.create({ baseURL, validateStatus: null });
  session.attach(instance);
  const byFetch = axios.create({ baseURL, validateStatus: null, adapter: "fetch", responseType: "blob" });
  session.attach(byFetch);
  const asks = {
    fetch: async (path = "/x", headers = {}) => (await session.fetch(path, { headers })).json(),
    axios: async (path = "/x", headers = {}) => (await instance.get(path, { headers })).data,
    "axios, blob": async (path = "/x", headers = {}) =>
      JSON.parse(await (await byFetch.get(path, { headers })).data.text()),
  };
  const signIn = () => session.login({ username: "ada", password: "right" });
  return { api, session, instance, ends, asks, signIn };
}

for (const name of NAMES) {
  test(`${name}: three calls on an expired access token make one refresh, and each is answered`, async (t) => {
    const { api, asks, signIn } = await begun(t, name);
    await signIn();
    for (const ask of Object.values(asks)) {
      api.isExpired = true;
      const before = api.calls.filter((call) => call === "refresh").length;
      const answers = await Promise.all([ask(), ask(), ask()]);
      assert.deepEqual(answers.map(({ who }) => who), ["ada", "ada", "ada"]);
      assert.equal(api.calls.filter((call) => call === "refresh").length, before + 1);
    }
  });

  test(`${name}: a refused refresh signs everybody out once, and signing in again works`, async (t) => {
    const { api, ends, asks, signIn } = await begun(t, name);
    await signIn();
    for (const [index, ask] of Object.values(asks).entries()) {
      api.isExpired = true;
      api.fault = "over";
      const settled = await Promise.allSettled([ask(), ask(), ask()]);
      assert.deepEqual(settled.map((each) => /** @type {any} */ (each).reason?.code), Array(3).fill("signed_out"));
      await new Promise((resolve) => setTimeout(resolve));
      assert.equal(ends.length, index + 1);
      await signIn();
      assert.equal((await ask()).who, "ada");
    }
  });

  test(`${name}: an answer to the refresh without tokens, or stale, keeps the old tokens and hangs nobody`, async (t) => {
    const { api, ends, asks, signIn } = await begun(t, name);
    await signIn();
    for (const fault of /** @type {const} */ (["html", "null"])) {
      api.isExpired = true;
      api.fault = fault;
      await assert.rejects(asks.fetch(), { code: "refresh_unavailable" });
      await signIn();
    }
    api.isExpired = true;
    api.fault = "stale";
    assert.equal((await asks.fetch()).who, "ada");
    assert.deepEqual(ends, []);
  });

  test(`${name}: a wrong password and any other failure renew nothing, and pass through`, async (t) => {
    const { api, session, asks, signIn } = await begun(t, name);
    await assert.rejects(session.login({ username: "ada", password: "wrong" }), { code: "sign_in_refused", reason: "bad_credentials" });
    await signIn();
    for (const ask of Object.values(asks)) {
      api.isExpired = true;
      assert.doesNotMatch(JSON.stringify(await ask("/broken")), /ada/);
      api.isExpired = false;
    }
    assert.ok(!api.calls.includes("refresh"));
  });

  test(`${name}: sign-out ends the session at the API, where its own refresh token goes`, async (t) => {
    const { api, session, signIn } = await begun(t, name);
    await signIn();
    await session.logout();
    assert.equal(session.user, null);
    assert.deepEqual([api.calls, api.isSignedIn], [["login", "logout"], false]);
  });
}

test("a request that opts out by the dialect's header goes out without the token, and a refusal of it renews nothing", async (t) => {
  const { api, asks, signIn } = await begun(t, "code-in-400");
  await signIn();
  for (const [how, ask] of Object.entries(asks)) {
    const answer = await ask("/x", { istoken: "false" });
    assert.equal(answer.code, 401, how);
    assert.deepEqual([api.seen.at(-1)?.token, api.seen.at(-1)?.istoken], [undefined, "false"], how);
    // Another value of it is none.
    assert.equal((await ask("/x", { isToken: "true" })).who, "ada");
  }
  assert.ok(!api.calls.includes("refresh"));
});

test("axios' own way to write the opt-out, a false that is no text, counts too", async (t) => {
  const { api, asks, signIn } = await begun(t, "code-in-400");
  await signIn();
  assert.equal((await asks.axios("/x", /** @type {any} */ ({ isToken: false }))).code, 401);
  assert.equal(api.seen.at(-1)?.token, undefined);
});

/** Node keeps no cookies: what a browser would send along goes along. @param {import("node:test").TestContext} t */
function keepCookie(t) {
  const send = fetch;
  t.mock.method(globalThis, "fetch", (/** @type {RequestInfo} */ input, /** @type {RequestInit} */ init) => {
    const request = new Request(input, init);
    request.headers.set("Cookie", "session=s-1");
    return send(request);
  });
}

for (const name of Object.keys(DIALECTS)) {
  test(`${name}: a body that is a stream is sent once: the token is renewed, and the caller told to send it again`, async (t) => {
    if (DIALECTS[name].csrf) keepCookie(t);
    const { api, session, instance, signIn } = await begun(t, name);
    await signIn();
    const posts = {
      fetch: () => session.fetch("/x", /** @type {RequestInit} */ ({ method: "POST", body: new Blob(["[1]"]).stream(), duplex: "half" })),
      axios: () => instance.post("/x", Readable.from(["[1]"]), { maxRedirects: 0 }),
    };
    for (const [how, post] of Object.entries(posts)) {
      api.isExpired = true;
      const { length } = api.calls;
      await assert.rejects(post, { code: "not_replayable" }, how);
      assert.deepEqual(api.calls.slice(length), ["other", "refresh"], how);
      assert.equal(api.seen.at(-1)?.["transfer-encoding"], "chunked", how);
      assert.equal((await post()).status, 200, how);
      assert.deepEqual(api.calls.slice(length), ["other", "refresh", "other"], how);
    }
  });
}
