// @ts-check
/** That what is sent again is the same request, and is sent again only where that is safe. */

import assert from "node:assert/strict";

import { ALL, AXIOS, NEWEST, statuses, story, times } from "./support/stage.js";

/** As every backend should see both sendings, but for the token and a multipart body's own boundary. */
const essence = (/** @type {import("./support/api.js").Seen} */ { method, url, headers, body }) => {
  const type = headers["content-type"] ?? "";
  const boundary = /boundary=(.+)$/.exec(type)?.[1] ?? "none";
  const plain = (/** @type {string} */ text) => text.replaceAll(boundary, "BOUNDARY");
  return { method, url, type: plain(type), body: plain(body.toString("latin1")), sign: headers["x-sign"] };
};

story("a signing interceptor runs once, and the second sending is the first, but for its token", AXIOS, {},
  async ({ api, tab }) => {
    await tab.run((faults, _, caller) => {
      let count = 0;
      const instance = faults.instances[caller];
      instance.defaults.baseURL = "/base";
      instance.interceptors.request.use((/** @type {any} */ config) => {
        count += 1;
        config.headers["X-Sign"] = `signed ${count}`;
        config.params = { ...config.params, count, t: count };
        // As with qs.stringify: what is text already would come out as something else.
        config.data = String(new URLSearchParams(config.data));
        return config;
      });
      instance.defaults.transformRequest = [
        (/** @type {any} */ data) => `${data}&transformed`,
        ...[instance.defaults.transformRequest].flat(),
      ];
    });
    api.expire();
    assert.equal((await tab.call("/x", { method: "POST", body: { json: { a: "1" } } })).status, 200);
    const [first, second, ...more] = api.seen.map(essence);
    assert.deepEqual([second, more], [first, []]);
    assert.deepEqual([first.url, first.body, first.sign], ["/base/x?count=1&t=1", "a=1&transformed", "signed 1"]);
  });

story("an interceptor against double submits does not see the second sending", AXIOS, {}, async ({ api, tab }) => {
  await tab.run((faults, _, caller) => {
    /** @type {?string} */
    let last = null;
    faults.instances[caller].interceptors.request.use((/** @type {any} */ config) => {
      const submitted = JSON.stringify([config.url, config.data]);
      if (submitted === last) throw new Error("submitted twice");
      last = submitted;
      return config;
    });
  });
  api.expire();
  const post = { method: "POST", body: { json: { order: 7 } } };
  assert.equal((await tab.call("/orders", post)).status, 200);
  assert.equal((await tab.call("/orders", post)).message, "submitted twice", "the interceptor works");
  assert.equal(api.of("/orders").length, 2);
});

story("a spinner is shown and hidden once for each request, whatever becomes of it", AXIOS, {},
  async ({ api, tab }) => {
    await tab.run((faults, _, caller) => {
      const { request, response } = faults.instances[caller].interceptors;
      faults.kept.spun = [];
      request.use((/** @type {any} */ config) => (faults.kept.spun.push(1), config));
      response.use(
        (/** @type {any} */ answer) => (faults.kept.spun.push(-1), answer),
        (/** @type {any} */ error) => {
          faults.kept.spun.push(-1);
          throw error;
        },
      );
    });
    api.routes.set("/never", () => api.refusal);
    api.expire();
    const answers = await Promise.all([tab.call("/x"), tab.call("/y"), tab.call("/never")]);
    assert.deepEqual(statuses(answers), [200, 200, 401]);
    api.end();
    // A refusal that a new token did not help against causes no refresh for half a minute.
    await tab.run((faults) => faults.moveClock(31));
    assert.equal((await tab.call("/x")).code, "signed_out");
    assert.equal((await tab.call("/x")).code, "signed_out");
    const spun = await tab.run((faults) => faults.kept.spun);
    assert.deepEqual([spun.length, spun.filter((/** @type {number} */ by) => by === 1).length], [10, 5]);
  });

story("a token in a header of its own is replaced, and an Authorization of the application's is kept", ALL, {
  user: null,
}, async ({ api, tab }) => {
  api.header = "token";
  api.scheme = "";
  await tab.begin({ dialect: { access_token: { header: "token", scheme: null } } });
  api.expire();
  const headers = { TOKEN: "of-yesterday", Authorization: "Basic application" };
  assert.equal((await tab.call("/x", { headers })).status, 200);
  const [first, second] = api.tokens("/x");
  assert.match(`${first} ${second}`, /^access-\S+ access-\S+$/);
  assert.notEqual(first, second);
  assert.deepEqual(api.of("/x").map((seen) => seen.headers.authorization), times(2, "Basic application"));
});

for (const [kind, value, type] of /** @type {[string, any, RegExp][]} */ ([
  ["json", { a: 1, b: ["ü", "✓"] }, /^application\/json/],
  ["text", "größer ✓", /^text\/plain/],
  ["form", { a: "1 & 2", b: "✓" }, /^application\/x-www-form-urlencoded/],
  ["blob", null, /^image\/png$/],
  ["buffer", null, /^application\/octet-stream$/],
  ["multipart", null, /^multipart\/form-data; boundary=/],
])) {
  const title = `a body is sent again byte for byte by axios in a page: ${kind}`;
  story(title, AXIOS, {}, async ({ api, tab, caller }) => {
    api.expire();
    const named = /** @type {Record<string, string>} */ ({
      text: "text/plain", buffer: "application/octet-stream", blob: "image/png",
    })[kind];
    const headers = named ? { "Content-Type": named } : {};
    assert.equal((await tab.call("/x", { method: "PUT", headers, body: { [kind]: value } })).status, 200);
    const [first, second, ...more] = api.of("/x").map(essence);
    assert.deepEqual([second, more], [first, []], caller);
    assert.match(first.type, type);
    if (kind === "json") assert.equal(first.body, Buffer.from(JSON.stringify(value)).toString("latin1"));
    if (["blob", "buffer", "multipart"].includes(kind)) assert.ok(first.body.length >= 300_000);
  });
}

story("a POST whose answer is lost on the way is not sent again", ALL, {}, async ({ api, tab }) => {
  api.routes.set("/orders", () => ({ body: { order: 7, filler: "x".repeat(1000) }, cut: true }));
  const answer = await tab.call("/orders", { method: "POST", body: { json: { order: 7 } } });
  assert.match(answer.message, /network error|Failed to fetch/i);
  assert.equal(answer.status, undefined);
  assert.deepEqual([api.of("/orders").length, api.refreshes], [1, 0]);
  assert.deepEqual(await tab.events(), []);
});

for (const way of ["signal", "cancelToken"]) {
  const title = `axios in a page gives up a request that waits at once: ${way}`;
  const knowing = way === "signal" ? AXIOS.filter((caller) => caller !== "axios021") : AXIOS;
  story(title, knowing, {}, async ({ api, tab }) => {
    api.expire();
    const refresh = api.hold("/auth/refresh");
    await tab.start("other", "/other");
    await refresh.arrived();
    const given = await tab.run((faults, kind, caller) => {
      const controller = new AbortController();
      const source = faults.builds[caller].CancelToken.source();
      const member = kind === "signal" ? { signal: controller.signal } : { cancelToken: source.token };
      const asked = faults.call(caller, { url: "/mine", ...member });
      // Once it waits; the answer to the refresh is kept, so that nothing else can end it.
      return Promise.resolve().then(() => (controller.abort(), source.cancel("left"), asked));
    }, way);
    assert.equal(given.isCancel, true, JSON.stringify(given));
    refresh.release();
    assert.equal((await tab.end("other")).status, 200);
    await tab.call("/after");
    assert.deepEqual([api.of("/mine").length, api.refreshes], [0, 1], "it is not sent afterwards");
  });
}

story("a request that is given up between its refusal and its second sending is not sent again", ALL, {},
  async ({ api, tab }) => {
    api.expire();
    const refresh = api.hold("/auth/refresh");
    await tab.run((faults, _, caller) => {
      const controller = new AbortController();
      const source = faults.builds[caller]?.CancelToken.source();
      const member = caller === "axios021" ? { cancelToken: source.token } : { signal: controller.signal };
      faults.kept.giveUp = () => (controller.abort(), source?.cancel("left"));
      faults.kept.mine = faults.call(caller, { url: "/mine", ...member });
    });
    await refresh.arrived();
    await tab.run((faults) => void faults.kept.giveUp());
    assert.equal((await tab.end("mine")).isCancel, true);
    refresh.release();
    assert.equal((await tab.call("/after")).status, 200);
    assert.deepEqual([api.of("/mine").length, api.refreshes], [1, 1]);
  });

story("the timeout of axios counts for each sending, and not for the wait in between", AXIOS, {},
  async ({ api, tab }) => {
    const silent = api.hold("/silent");
    const refresh = api.hold("/auth/refresh");
    api.expire();
    await tab.start("waiting", "/x", { axios: { timeout: 400 } });
    await refresh.arrived();
    // What begins later with the same timeout is over first: by then the time of the one that waits has passed.
    const control = await tab.run(async (faults, _, caller) => {
      const bare = faults.builds[caller].create({ timeout: 400 });
      return bare.get("/silent").catch(faults.tell);
    });
    assert.match(control.message, /timeout/);
    refresh.release();
    assert.equal((await tab.end("waiting")).status, 200);
    silent.release();
    assert.equal(api.refreshes, 1);
  });

story("a request that times out at the resource is axios' own error, and is not sent again", AXIOS, {},
  async ({ api, tab }) => {
    const silent = api.hold("/silent");
    const answer = await tab.call("/silent", { method: "POST", axios: { timeout: 200 } });
    assert.deepEqual([answer.code, api.of("/silent").length, api.refreshes], ["ECONNABORTED", 1, 0]);
    silent.release();
  });

story("a component's request that waits is not sent after the sign-out", ALL, {}, async ({ api, tab }) => {
  api.expire();
  const refresh = api.hold("/auth/refresh");
  await tab.start("mine", "/mine");
  await refresh.arrived();
  const leaving = tab.run((faults) => faults.session.logout());
  refresh.release();
  await leaving;
  const mine = await tab.end("mine");
  // Whether the refresh or the sign-out is first is open: it is answered, or told that it is over.
  assert.ok([200, 401, "signed_out"].includes(mine.status ?? mine.code), JSON.stringify(mine));
  const sent = api.of("/mine").length;
  assert.equal((await tab.call("/mine")).code, "signed_out");
  assert.equal(api.of("/mine").length, sent);
  assert.equal(await tab.run((faults) => faults.store.load()), null);
});

story("the progress of an upload that is sent again does not go back", AXIOS, {}, async ({ api, tab }) => {
  api.expire();
  const { status, told } = await tab.run(async (faults, _, caller) => {
    const loaded = /** @type {number[][]} */ ([]);
    const onUploadProgress = (/** @type {any} */ event) => loaded.push([event.loaded, event.total]);
    // Large enough for a report in its midst.
    const data = new Blob([new Uint8Array(4_000_000)]);
    const answer = await faults.call(caller, { url: "/x", method: "POST", axios: { data, onUploadProgress } });
    return { status: answer.status, told: loaded };
  });
  assert.equal(status, 200);
  assert.deepEqual(api.of("/x").map(({ body }) => body.length), [4_000_000, 4_000_000]);
  assert.deepEqual(told, [...told].sort(([one], [two]) => one - two));
  assert.deepEqual(told[told.length - 1], [4_000_000, 4_000_000]);
});

story("a refusal is sent again though validateStatus accepts everything", AXIOS, {}, async ({ api, tab }) => {
  api.expire();
  assert.equal((await tab.call("/x", { axios: { validateStatus: null } })).status, 200);
  api.routes.set("/never", () => api.refusal);
  assert.equal((await tab.call("/never", { axios: { validateStatus: null } })).status, 401);
  assert.equal(api.of("/never").length, 2);
});

story("a request with an adapter of its own goes around the session", AXIOS, {}, async ({ api, tab }) => {
  api.expire();
  const answer = await tab.run(async (faults, _, caller) => {
    const adapter = async (/** @type {any} */ config) => {
      faults.kept.headers = JSON.stringify(config.headers);
      return { status: 200, statusText: "", headers: {}, data: "own", config };
    };
    return faults.call(caller, { url: "/x", axios: { adapter } });
  });
  assert.deepEqual(answer, { status: 200, data: "own" });
  assert.doesNotMatch(await tab.run((faults) => faults.kept.headers), /access-/);
  assert.deepEqual([api.seen.length, api.refreshes], [0, 0]);
});

const title = "the fetch adapter of the newest axios is sent again in a page, and given up";
story(title, NEWEST, {}, async ({ api, tab }) => {
  await tab.run((faults, _, caller) => {
    const { baseURL } = faults.session;
    faults.instances[caller] = faults.builds[caller].create({ baseURL, adapter: "fetch" });
    faults.attach(faults.session, faults.instances[caller]);
  });
  for (const kind of ["json", "blob", "multipart"]) {
    api.expire();
    const { status } = await tab.call(`/${kind}`, { method: "POST", body: { [kind]: { a: 1 } } });
    const [first, second, ...more] = api.of(`/${kind}`).map(essence);
    assert.deepEqual([status, second, more], [200, first, []], kind);
  }
  api.expire();
  const refresh = api.hold("/auth/refresh");
  await tab.run((faults, _, caller) => {
    const controller = new AbortController();
    faults.kept.giveUp = () => controller.abort();
    faults.kept.mine = faults.call(caller, { url: "/mine", signal: controller.signal });
  });
  await refresh.arrived();
  await tab.run((faults) => faults.kept.giveUp());
  assert.equal((await tab.end("mine")).isCancel, true);
  refresh.release();
  assert.equal((await tab.call("/after")).status, 200);
  assert.deepEqual([api.of("/mine").length, api.refreshes], [1, 4]);
});
