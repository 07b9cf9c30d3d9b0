// @ts-check
/**
 * What axios sends through a session, and sends again, with axios 0.21 to the newest, on its http adapter.
 *
 * Only a browser can show the xhr adapter: a Blob answer, FormData before 1.0 (which deletes the Content-Type of the
 * config it was given), responseURL after a redirect, and a URL that is relative to the page: test/faults does.
 */

import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { test } from "node:test";

import { attach } from "../../src/axios.js";
import { SessionError } from "../../src/index.js";
import { eachVersion, essence } from "./support/attached.js";
import { IN_BODY } from "./support/server.js";

eachVersion((ground) => {
  const { axios, isOld, signedIn, tokensSeen, version } = ground;

  test("a request carries the access token, and the application's config does not", async () => {
    const { instance } = await signedIn();
    const response = await instance.get("/reports", { params: { page: 2 } });
    assert.deepEqual(response.data, { code: 0, method: "GET", url: "/reports?page=2" });
    assert.deepEqual(tokensSeen(), ["Bearer access-1"]);
    assert.doesNotMatch(JSON.stringify(response.config), /access-1/);
  });

  test("the token replaces a header of the same name, however it is spelled", async () => {
    const { instance } = await signedIn();
    await instance.get("/reports", { headers: { authorization: "Bearer of-yesterday" } });
    assert.deepEqual(tokensSeen(), ["Bearer access-1"]);
  });

  test("requests refused at the same time are all answered after one refresh", async () => {
    const { instance } = await signedIn();
    ground.server.expire();
    const answers = await Promise.all(Array.from({ length: 20 }, (_, n) => instance.get(`/reports/${n}`)));
    assert.deepEqual(answers.map(({ data }) => data.url), answers.map((_, n) => `/reports/${n}`));
    assert.equal(ground.server.refreshes, 1);
  });

  test("two instances and fetch share one refresh", async () => {
    const { session, instance } = await signedIn();
    const other = axios.create({ baseURL: ground.server.url });
    attach(session, other);
    ground.server.expire();
    const [one, two, three] = await Promise.all([instance.get("/1"), other.get("/2"), session.fetch("/3")]);
    assert.deepEqual([one.status, two.status, three.status, ground.server.refreshes], [200, 200, 200, 1]);
  });

  test("interceptors and transforms run once for a request that is sent twice", async () => {
    const { instance } = await signedIn();
    /** @type {string[]} */
    const ran = [];
    const noted = (/** @type {string} */ name) => (/** @type {any} */ value) => (ran.push(name), value);
    instance.interceptors.request.use(noted("request"));
    instance.interceptors.response.use(noted("response"), (/** @type {any} */ error) => {
      ran.push("error");
      throw error;
    });
    for (const name of ["transformRequest", "transformResponse"]) {
      instance.defaults[name] = [noted(name), ...[instance.defaults[name]].flat()];
    }
    ground.server.expire();
    const { data } = await instance.post("/reports", { title: "Q3" });
    assert.equal(data.method, "POST");
    assert.deepEqual(ran, ["request", "transformRequest", "transformResponse", "response"]);
    assert.equal(ground.server.seen.length, 2);
  });

  /** @type {[string, () => any, object?][]} */
  const bodies = [
    ["JSON", () => ({ title: "Q3", lines: [1, { two: "zwei ü" }] })],
    ["a JSON array", () => [1, 2]],
    ["URLSearchParams", () => new URLSearchParams({ a: "1 2", b: "ü&=" })],
    ["text", () => "a=1", { headers: { "Content-Type": "text/plain" } }],
    ["a buffer", () => Buffer.from([0, 1, 2, 255]), { headers: { "Content-Type": "application/octet-stream" } }],
  ];
  if (!isOld) {
    bodies.push([
      "FormData with a file",
      () => {
        const form = new FormData();
        form.append("title", "Q3 ü");
        form.append("file", new Blob([new Uint8Array([0, 13, 10, 255])], { type: "image/png" }), "a.png");
        return form;
      },
    ]);
  }
  for (const [name, body, config] of bodies) {
    test(`method, URL and body are the same when sent again: ${name}`, async () => {
      const { instance } = await signedIn();
      ground.server.expire();
      const { status } = await instance.put("/reports?a=b", body(), { params: { x: [1, 2] }, ...config });
      const [first, second] = ground.server.seen.map(essence);
      assert.equal(status, 200);
      assert.deepEqual(second, first);
      assert.deepEqual([first.method, first.body.length > 0], ["PUT", true]);
      assert.deepEqual(tokensSeen(), ["Bearer access-1", "Bearer access-2"]);
    });
  }

  test("one config object serves two requests, each of which may be sent again", async () => {
    const { instance } = await signedIn();
    const config = Object.freeze({ url: "/reports", method: "post", data: { a: 1 }, headers: { "X-Page": "1" } });
    for (const round of [1, 2]) {
      ground.server.expire();
      const { status } = await instance.request(config);
      assert.deepEqual([status, ground.server.refreshes], [200, round]);
    }
    assert.deepEqual(tokensSeen(), ["Bearer access-1", "Bearer access-2", "Bearer access-2", "Bearer access-3"]);
  });

  test("the config of a refused answer can be sent by the application", async () => {
    const { instance } = await signedIn();
    const refused = await instance.post("/never", { a: 1 }).catch((/** @type {any} */ error) => error);
    const { status } = await instance.request({ ...refused.config, url: "/reports" });
    assert.equal(status, 200);
    assert.deepEqual(ground.server.seen.map(({ body }) => body), ['{"a":1}', '{"a":1}', '{"a":1}']);
  });

  test("a resource that always refuses is asked twice, and its answer is the application's", async () => {
    const { instance } = await signedIn();
    const error = await instance.get("/never").catch((/** @type {any} */ error) => error);
    assert.equal(error.isAxiosError, true);
    assert.deepEqual(error.response.data, { code: 401, message: "token expired" });
    assert.deepEqual([error.response.status, error.response.config, error.config.url], [401, error.config, "/never"]);
    assert.deepEqual([ground.server.seen.length, ground.server.refreshes], [2, 1]);
  });

  test("with a validateStatus that accepts everything, a refusal is sent again all the same", async () => {
    const { instance } = await signedIn(undefined, { validateStatus: null });
    ground.server.expire();
    assert.equal((await instance.get("/reports")).status, 200);
    assert.equal((await instance.get("/never")).status, 401);
  });

  for (const responseType of [undefined, "json", "text", "arraybuffer"]) {
    test(`a refusal in the body of a 200 is sent again: responseType ${responseType}`, async () => {
      const { instance } = await signedIn(IN_BODY);
      ground.server.refusesInBody = true;
      ground.server.expire();
      const { data } = await instance.get("/reports", { responseType });
      const document = typeof data === "string" || Buffer.isBuffer(data) ? JSON.parse(String(data)) : data;
      assert.deepEqual([document.code, ground.server.refreshes, ground.server.seen.length], [0, 1, 2]);
      assert.equal(Buffer.isBuffer(data), responseType === "arraybuffer");
      const never = await instance.get("/never");
      assert.equal(never.data.code, 401);
      assert.equal(ground.server.seen.length, 4);
    });
  }

  test("a stream as an answer is not looked into, and its refusal by status is sent again", async () => {
    const { instance } = await signedIn();
    ground.server.expire();
    const { status, data } = await instance.get("/reports", { responseType: "stream" });
    let text = "";
    for await (const chunk of data) text += chunk;
    assert.deepEqual([status, JSON.parse(text).code], [200, 0]);
  });

  test("a session that the server has ended rejects with signed_out", async () => {
    const { session, instance } = await signedIn();
    await session.gate.around.store.swap(await session.gate.around.store.load(), null);
    ground.server.expire();
    await assert.rejects(instance.get("/reports"), { name: "SessionError", code: "signed_out" });
  });

  test("a cancelToken ends the wait at once, and the refresh goes on for the others", async () => {
    const { instance } = await signedIn();
    ground.server.expire();
    const release = ground.server.hold();
    const source = axios.CancelToken.source();
    const other = instance.get("/other");
    const cancelled = instance.get("/mine", { cancelToken: source.token });
    while (ground.server.refreshes === 0) await new Promise(setImmediate);
    source.cancel("left the page");
    const error = await cancelled.catch((/** @type {any} */ error) => error);
    assert.deepEqual([axios.isCancel(error), error.message], [true, "left the page"]);
    release();
    assert.equal((await other).status, 200);
    assert.equal(ground.server.refreshes, 1);
    assert.ok(ground.server.seen.filter(({ url }) => url === "/mine").length <= 1);
  });

  test("an AbortSignal ends the wait at once", { skip: version === "axios021" && "0.21 has no signal" }, async () => {
    const { instance } = await signedIn();
    ground.server.expire();
    const release = ground.server.hold();
    const controller = new AbortController();
    const aborted = instance.get("/mine", { signal: controller.signal });
    while (ground.server.refreshes === 0) await new Promise(setImmediate);
    controller.abort();
    assert.equal(axios.isCancel(await aborted.catch((/** @type {any} */ error) => error)), true);
    release();
    assert.equal((await instance.get("/next")).status, 200);
    assert.deepEqual(ground.server.seen.map(({ url }) => url), ["/mine", "/next"]);
  });

  test("a stream as a body is not sent again: the token is renewed and the application told", async () => {
    const { instance } = await signedIn();
    ground.server.expire();
    const post = () => instance.post("/upload", Readable.from(["a", "b"]), { maxRedirects: 0 });
    const error = await post().catch((/** @type {any} */ error) => error);
    assert.ok(error instanceof SessionError);
    assert.deepEqual([error.code, /** @type {any} */ (error).response.status], ["not_replayable", 401]);
    assert.equal((await post()).status, 200);
    assert.deepEqual(ground.server.seen.map(({ body }) => body), ["ab", "ab"]);
  });

  test("a network fault is axios' own error", async () => {
    const { instance } = await signedIn();
    ground.server.stop();
    const error = await instance.get("/reports").catch((/** @type {any} */ error) => error);
    assert.deepEqual([error.isAxiosError, error.code, error.config.url], [true, "ECONNREFUSED", "/reports"]);
    assert.doesNotMatch(JSON.stringify(error.config), /access-1/);
  });

  const fetches = { skip: version !== "axios" && "there is no fetch adapter" };
  test("the fetch adapter, asked for by name", fetches, async () => {
    const { instance } = await signedIn(undefined, { adapter: "fetch" });
    ground.server.expire();
    const { data } = await instance.post("/reports", { a: 1 });
    assert.deepEqual([data.method, ground.server.refreshes], ["POST", 1]);
    const [first, second] = ground.server.seen.map(essence);
    assert.deepEqual(second, first);
  });

  test("the fetch adapter answers with a Blob, and is looked into", fetches, async () => {
    const { instance } = await signedIn(IN_BODY, { adapter: "fetch" });
    ground.server.refusesInBody = true;
    ground.server.expire();
    const { data } = await instance.get("/reports", { responseType: "blob" });
    assert.deepEqual([JSON.parse(await data.text()).code, ground.server.refreshes], [0, 1]);
  });
});
