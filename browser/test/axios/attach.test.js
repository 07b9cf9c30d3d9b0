// @ts-check
/** What attaching a session changes at an axios instance, what goes around it, and what detaching puts back. */

import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { test } from "node:test";

import { attach } from "../../src/axios.js";
import { createSession, memoryStore } from "../../src/index.js";
import { eachVersion } from "./support/attached.js";
import { IN_BODY, Server } from "./support/server.js";

eachVersion((ground) => {
  const { axios, signedIn, tokensSeen } = ground;

  test("evertoken: false goes without the token, and its 401 renews nothing", async () => {
    const { instance } = await signedIn();
    const { status } = await instance.get("/reports", { evertoken: false, validateStatus: null });
    assert.deepEqual([status, tokensSeen(), ground.server.refreshes], [401, [undefined], 0]);
  });

  test("axios' own basic auth is the application's choice of credentials", async () => {
    const { instance } = await signedIn();
    const auth = { username: "ada", password: "pw" };
    await instance.get("/reports", { auth, validateStatus: null });
    assert.deepEqual([tokensSeen(), ground.server.refreshes], [[`Basic ${btoa("ada:pw")}`], 0]);
  });

  test("other origins get no token, however the URL is put together", async () => {
    const { instance } = await signedIn();
    const other = await Server.start();
    try {
      const allowed = { validateStatus: null };
      await instance.get(`${other.url}/1`, allowed);
      await instance.get("/2", { ...allowed, baseURL: other.url });
      await instance.get(`${other.url}/3`, { ...allowed, allowAbsoluteUrls: false });
      assert.ok(other.seen.length >= 2);
      for (const { headers } of other.seen) assert.equal(headers.authorization, undefined);
      for (const authorization of tokensSeen()) assert.equal(authorization, undefined);
      // An absolute URL at home, with a foreign base.
      assert.equal((await instance.get(`${ground.server.url}/4`, { baseURL: other.url })).status, 200);
      assert.equal(ground.server.refreshes, 0);
    } finally {
      other.stop();
    }
  });

  test("a 401 from another origin, after a redirect, renews nothing", async () => {
    const { instance } = await signedIn();
    const other = await Server.start();
    try {
      const url = `/away?${other.url.replace("127.0.0.1", "localhost")}/x`;
      const { status } = await instance.get(url, { validateStatus: null });
      assert.deepEqual([status, other.seen.length, other.seen[0].headers.authorization], [401, 1, undefined]);
      assert.equal(ground.server.refreshes, 0);
    } finally {
      other.stop();
    }
  });

  test("the session's own calls get no token", async () => {
    const { instance } = await signedIn();
    const { status } = await instance.post("/auth/refresh", { refresh_token: "?" }, { validateStatus: null });
    assert.deepEqual([status, ground.server.refreshes], [401, 1]);
  });

  test("detaching puts back the adapter that was there", async () => {
    const { session, instance, detach } = await signedIn();
    const { adapter } = axios.create().defaults;
    assert.notDeepEqual(instance.defaults.adapter, adapter);
    assert.throws(() => attach(session, instance), TypeError);
    detach();
    assert.deepEqual(instance.defaults.adapter, adapter);
    await instance.get("/reports", { validateStatus: null });
    attach(session, instance);
    await instance.get("/reports");
    assert.deepEqual(tokensSeen(), [undefined, "Bearer access-1"]);
  });

  test("detaching under somebody else's wrapper leaves the wrapper, and takes the token away", async () => {
    const { instance, detach } = await signedIn();
    const ours = instance.defaults.adapter;
    const theirs = (/** @type {any} */ config) => ours(config);
    instance.defaults.adapter = theirs;
    detach();
    await instance.get("/reports", { validateStatus: null });
    assert.deepEqual([instance.defaults.adapter, tokensSeen()], [theirs, [undefined]]);
  });

  test("axios itself can be attached, and instances made from it afterwards are", async () => {
    const session = createSession({ baseURL: ground.server.url, store: memoryStore() });
    await session.login({ username: "ada", password: "correct-horse-battery" });
    const detach = attach(session, axios);
    try {
      ground.server.expire();
      assert.equal((await axios.get(`${ground.server.url}/reports`)).status, 200);
      assert.equal((await axios.create({ baseURL: ground.server.url }).get("/reports")).status, 200);
      assert.equal(ground.server.refreshes, 1);
    } finally {
      detach();
    }
  });

  test("an adapter of the application's own is wrapped too, and may answer with what is parsed", async () => {
    const session = createSession({ baseURL: ground.server.url, store: memoryStore(), dialect: IN_BODY });
    await session.login({ username: "ada", password: "correct-horse-battery" });
    /** @type {any[]} */
    const asked = [];
    const adapter = async (/** @type {any} */ config) => {
      asked.push(config.headers.Authorization);
      const data = { code: asked.length === 1 ? 401 : 0 };
      return { status: 200, statusText: "OK", headers: { "content-type": "application/json" }, data, config };
    };
    const instance = axios.create({ baseURL: ground.server.url, adapter });
    attach(session, instance);
    assert.equal((await instance.get("/reports")).data.code, 0);
    assert.deepEqual(asked, ["Bearer access-1", "Bearer access-2"]);
  });

  /**
   * An instance on an adapter that gives these answers, one after the other, and keeps what it was given.
   * @param {{status: number, data: any}[]} answers
   */
  const answering = async (answers) => {
    /** @type {any[]} */
    const asked = [];
    const adapter = async (/** @type {any} */ config) => {
      asked.push({ ...config.headers });
      const headers = { "content-type": "application/json" };
      return { statusText: "", headers, config, ...answers[asked.length - 1] };
    };
    return { ...(await signedIn(undefined, { adapter })), asked };
  };

  test("no second header of the same name goes out beside the token", async () => {
    const { instance, asked } = await answering([{ status: 200, data: "{}" }]);
    await instance.get("/reports", { headers: { authorization: "Bearer of-yesterday" } });
    const names = Object.keys(asked[0]).filter((name) => name.toLowerCase() === "authorization");
    assert.deepEqual(names.map((name) => asked[0][name]), ["Bearer access-1"]);
  });

  test("upload progress does not go back when a request is sent again", async () => {
    let sendings = 0;
    const adapter = async (/** @type {any} */ config) => {
      sendings += 1;
      for (const loaded of [4, 10, 10]) config.onUploadProgress({ loaded, total: 10 });
      return { status: sendings === 1 ? 401 : 200, statusText: "", headers: {}, data: "{}", config };
    };
    const { instance } = await signedIn(undefined, { adapter });
    /** @type {number[]} */
    const told = [];
    const onUploadProgress = (/** @type {any} */ { loaded }) => told.push(loaded);
    assert.equal((await instance.post("/upload", "0123456789", { onUploadProgress })).status, 200);
    assert.deepEqual([sendings, told], [2, [4, 10, 10, 10, 10]]);
  });

  test("a stream that is dropped for a second answer is closed", async () => {
    const refused = Readable.from(["{}"]);
    const { instance } = await answering([{ status: 401, data: refused }, { status: 200, data: "{}" }]);
    assert.equal((await instance.get("/reports", { responseType: "stream" })).status, 200);
    assert.equal(refused.destroyed, true);
  });

  test("a second answer that says the session is over signs out", async () => {
    const over = JSON.stringify({ code: "session_over", reason: "logout" });
    const { session, instance } = await answering([{ status: 401, data: "{}" }, { status: 401, data: over }]);
    await assert.rejects(instance.get("/reports"), { code: "signed_out", reason: "logout" });
    assert.equal(await session.restore(), false);
  });

  test("without a way to the adapter, attaching says what to do", () => {
    const session = createSession({ baseURL: ground.server.url, store: memoryStore() });
    assert.throws(() => attach(session, { defaults: { adapter: ["xhr", "http"] } }), /axios\.getAdapter/);
  });
});
