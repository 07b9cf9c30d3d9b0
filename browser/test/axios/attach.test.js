// @ts-check
/**
 * An axios instance on a session, with axios 0.21 to the newest, on its http adapter.
 *
 * Only a browser can show the xhr adapter: a Blob answer, FormData before 1.0 (which deletes the Content-Type of the
 * config it was given), responseURL after a redirect, and a URL that is relative to the page.
 */

import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { afterEach, beforeEach, describe, test } from "node:test";

import { attach } from "../../src/axios.js";
import { createSession, EVERTOKEN, memoryStore, SessionError } from "../../src/index.js";
import { IN_BODY, Server, VERSIONS } from "./support/server.js";

for (const [version, axios] of VERSIONS) {
  const isOld = version.startsWith("axios0");

  describe(`${version} ${axios.VERSION ?? ""}`, () => {
    /** @type {Server} */
    let server;

    beforeEach(async () => {
      server = await Server.start();
    });
    afterEach(() => server.stop());

    /** A signed-in session, and an instance on it. */
    const signedIn = async (/** @type {any} */ dialect = EVERTOKEN, /** @type {any} */ config = {}) => {
      const session = createSession({ baseURL: server.url, store: memoryStore(), dialect });
      await session.login({ username: "ada", password: "correct-horse-battery" });
      const instance = axios.create({ baseURL: server.url, ...config });
      return { session, instance, detach: attach(session, instance) };
    };

    const tokensSeen = () => server.seen.map(({ headers }) => headers.authorization);

    /** As every backend of one request should see it, whichever boundary its parts have. @param {any} seen */
    const essence = ({ method, url, body, headers }) => {
      const type = headers["content-type"] ?? "";
      const boundary = /boundary=(.+)$/.exec(type)?.[1];
      const plain = (/** @type {string} */ text) => (boundary ? text.replaceAll(boundary, "BOUNDARY") : text);
      return { method, url, body: plain(body), type: plain(type), length: headers["content-length"] };
    };

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
      server.expire();
      const answers = await Promise.all(Array.from({ length: 20 }, (_, n) => instance.get(`/reports/${n}`)));
      assert.deepEqual(answers.map(({ data }) => data.url), answers.map((_, n) => `/reports/${n}`));
      assert.equal(server.refreshes, 1);
    });

    test("two instances and fetch share one refresh", async () => {
      const { session, instance } = await signedIn();
      const other = axios.create({ baseURL: server.url });
      attach(session, other);
      server.expire();
      const [one, two, three] = await Promise.all([instance.get("/1"), other.get("/2"), session.fetch("/3")]);
      assert.deepEqual([one.status, two.status, three.status, server.refreshes], [200, 200, 200, 1]);
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
      server.expire();
      const { data } = await instance.post("/reports", { title: "Q3" });
      assert.equal(data.method, "POST");
      assert.deepEqual(ran, ["request", "transformRequest", "transformResponse", "response"]);
      assert.equal(server.seen.length, 2);
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
        server.expire();
        const { status } = await instance.put("/reports?a=b", body(), { params: { x: [1, 2] }, ...config });
        const [first, second] = server.seen.map(essence);
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
        server.expire();
        const { status } = await instance.request(config);
        assert.deepEqual([status, server.refreshes], [200, round]);
      }
      assert.deepEqual(tokensSeen(), ["Bearer access-1", "Bearer access-2", "Bearer access-2", "Bearer access-3"]);
    });

    test("the config of a refused answer can be sent by the application", async () => {
      const { instance } = await signedIn();
      const refused = await instance.post("/never", { a: 1 }).catch((/** @type {any} */ error) => error);
      const { status } = await instance.request({ ...refused.config, url: "/reports" });
      assert.equal(status, 200);
      assert.deepEqual(server.seen.map(({ body }) => body), ['{"a":1}', '{"a":1}', '{"a":1}']);
    });

    test("a resource that always refuses is asked twice, and its answer is the application's", async () => {
      const { instance } = await signedIn();
      const error = await instance.get("/never").catch((/** @type {any} */ error) => error);
      assert.equal(error.isAxiosError, true);
      assert.deepEqual(error.response.data, { code: 401, message: "token expired" });
      assert.deepEqual([error.response.status, error.response.config, error.config.url], [401, error.config, "/never"]);
      assert.deepEqual([server.seen.length, server.refreshes], [2, 1]);
    });

    test("with a validateStatus that accepts everything, a refusal is sent again all the same", async () => {
      const { instance } = await signedIn(EVERTOKEN, { validateStatus: null });
      server.expire();
      assert.equal((await instance.get("/reports")).status, 200);
      assert.equal((await instance.get("/never")).status, 401);
    });

    for (const responseType of [undefined, "json", "text", "arraybuffer"]) {
      test(`a refusal in the body of a 200 is sent again: responseType ${responseType}`, async () => {
        const { instance } = await signedIn(IN_BODY);
        server.refusesInBody = true;
        server.expire();
        const { data } = await instance.get("/reports", { responseType });
        const document = typeof data === "string" || Buffer.isBuffer(data) ? JSON.parse(String(data)) : data;
        assert.deepEqual([document.code, server.refreshes, server.seen.length], [0, 1, 2]);
        assert.equal(Buffer.isBuffer(data), responseType === "arraybuffer");
        const never = await instance.get("/never");
        assert.equal(never.data.code, 401);
        assert.equal(server.seen.length, 4);
      });
    }

    test("a stream as an answer is not looked into, and its refusal by status is sent again", async () => {
      const { instance } = await signedIn();
      server.expire();
      const { status, data } = await instance.get("/reports", { responseType: "stream" });
      let text = "";
      for await (const chunk of data) text += chunk;
      assert.deepEqual([status, JSON.parse(text).code], [200, 0]);
    });

    test("a session that the server has ended rejects with signed_out", async () => {
      const { session, instance } = await signedIn();
      await session.gate.around.store.swap(await session.gate.around.store.load(), null);
      server.expire();
      await assert.rejects(instance.get("/reports"), { name: "SessionError", code: "signed_out" });
    });

    test("evertoken: false goes without the token, and its 401 renews nothing", async () => {
      const { instance } = await signedIn();
      const { status } = await instance.get("/reports", { evertoken: false, validateStatus: null });
      assert.deepEqual([status, tokensSeen(), server.refreshes], [401, [undefined], 0]);
    });

    test("axios' own basic auth is the application's choice of credentials", async () => {
      const { instance } = await signedIn();
      const auth = { username: "ada", password: "pw" };
      await instance.get("/reports", { auth, validateStatus: null });
      assert.deepEqual([tokensSeen(), server.refreshes], [[`Basic ${btoa("ada:pw")}`], 0]);
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
        assert.equal((await instance.get(`${server.url}/4`, { baseURL: other.url })).status, 200);
        assert.equal(server.refreshes, 0);
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
        assert.equal(server.refreshes, 0);
      } finally {
        other.stop();
      }
    });

    test("the session's own calls get no token", async () => {
      const { instance } = await signedIn();
      const { status } = await instance.post("/auth/refresh", { refresh_token: "?" }, { validateStatus: null });
      assert.deepEqual([status, server.refreshes], [401, 1]);
    });

    test("a cancelToken ends the wait at once, and the refresh goes on for the others", async () => {
      const { instance } = await signedIn();
      server.expire();
      const release = server.hold();
      const source = axios.CancelToken.source();
      const other = instance.get("/other");
      const cancelled = instance.get("/mine", { cancelToken: source.token });
      while (server.refreshes === 0) await new Promise(setImmediate);
      source.cancel("left the page");
      const error = await cancelled.catch((/** @type {any} */ error) => error);
      assert.deepEqual([axios.isCancel(error), error.message], [true, "left the page"]);
      release();
      assert.equal((await other).status, 200);
      assert.equal(server.refreshes, 1);
      assert.ok(server.seen.filter(({ url }) => url === "/mine").length <= 1);
    });

    test("an AbortSignal ends the wait at once", { skip: version === "axios021" && "0.21 has no signal" }, async () => {
      const { instance } = await signedIn();
      server.expire();
      const release = server.hold();
      const controller = new AbortController();
      const aborted = instance.get("/mine", { signal: controller.signal });
      while (server.refreshes === 0) await new Promise(setImmediate);
      controller.abort();
      assert.equal(axios.isCancel(await aborted.catch((/** @type {any} */ error) => error)), true);
      release();
      assert.equal((await instance.get("/next")).status, 200);
      assert.deepEqual(server.seen.map(({ url }) => url), ["/mine", "/next"]);
    });

    test("a stream as a body is not sent again: the token is renewed and the application told", async () => {
      const { instance } = await signedIn();
      server.expire();
      const post = () => instance.post("/upload", Readable.from(["a", "b"]), { maxRedirects: 0 });
      const error = await post().catch((/** @type {any} */ error) => error);
      assert.ok(error instanceof SessionError);
      assert.deepEqual([error.code, /** @type {any} */ (error).response.status], ["not_replayable", 401]);
      assert.equal((await post()).status, 200);
      assert.deepEqual(server.seen.map(({ body }) => body), ["ab", "ab"]);
    });

    test("a network fault is axios' own error", async () => {
      const { instance } = await signedIn();
      server.stop();
      const error = await instance.get("/reports").catch((/** @type {any} */ error) => error);
      assert.deepEqual([error.isAxiosError, error.code, error.config.url], [true, "ECONNREFUSED", "/reports"]);
      assert.doesNotMatch(JSON.stringify(error.config), /access-1/);
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
      const session = createSession({ baseURL: server.url, store: memoryStore() });
      await session.login({ username: "ada", password: "correct-horse-battery" });
      const detach = attach(session, axios);
      try {
        server.expire();
        assert.equal((await axios.get(`${server.url}/reports`)).status, 200);
        assert.equal((await axios.create({ baseURL: server.url }).get("/reports")).status, 200);
        assert.equal(server.refreshes, 1);
      } finally {
        detach();
      }
    });

    test("an adapter of the application's own is wrapped too, and may answer with what is parsed", async () => {
      const session = createSession({ baseURL: server.url, store: memoryStore(), dialect: IN_BODY });
      await session.login({ username: "ada", password: "correct-horse-battery" });
      /** @type {any[]} */
      const asked = [];
      const adapter = async (/** @type {any} */ config) => {
        asked.push(config.headers.Authorization);
        const data = { code: asked.length === 1 ? 401 : 0 };
        return { status: 200, statusText: "OK", headers: { "content-type": "application/json" }, data, config };
      };
      const instance = axios.create({ baseURL: server.url, adapter });
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
      return { ...(await signedIn(EVERTOKEN, { adapter })), asked };
    };

    test("no second header of the same name goes out beside the token", async () => {
      const { instance, asked } = await answering([{ status: 200, data: "{}" }]);
      await instance.get("/reports", { headers: { authorization: "Bearer of-yesterday" } });
      const names = Object.keys(asked[0]).filter((name) => name.toLowerCase() === "authorization");
      assert.deepEqual(names.map((name) => asked[0][name]), ["Bearer access-1"]);
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
      const session = createSession({ baseURL: server.url, store: memoryStore() });
      assert.throws(() => attach(session, { defaults: { adapter: ["xhr", "http"] } }), /axios\.getAdapter/);
    });

    const fetches = { skip: version !== "axios" && "there is no fetch adapter" };
    test("the fetch adapter, asked for by name", fetches, async () => {
      const { instance } = await signedIn(EVERTOKEN, { adapter: "fetch" });
      server.expire();
      const { data } = await instance.post("/reports", { a: 1 });
      assert.deepEqual([data.method, server.refreshes], ["POST", 1]);
      const [first, second] = server.seen.map(essence);
      assert.deepEqual(second, first);
    });

    test("the fetch adapter answers with a Blob, and is looked into", fetches, async () => {
      const { instance } = await signedIn(IN_BODY, { adapter: "fetch" });
      server.refusesInBody = true;
      server.expire();
      const { data } = await instance.get("/reports", { responseType: "blob" });
      assert.deepEqual([JSON.parse(await data.text()).code, server.refreshes], [0, 1]);
    });
  });
}
