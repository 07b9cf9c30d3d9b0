// @ts-check
/** Documents that are dialects, and those that are none. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { text } from "../../scripts/dialects.js";
import { complete, read, speechOf } from "../../src/decide/dialect.js";
import { bodySpeech } from "../../src/decide/body_speech.js";
import { cookieSpeech } from "../../src/decide/speech.js";
import { DIALECTS } from "../../src/dialects.js";
import { createSession, memoryStore } from "../../src/index.js";

const COOKIE = { token: { kind: "cookie" } };
/** Evertoken's own cookie mode, as a document. */
const IN_COOKIE = {
  ...DIALECTS.evertoken,
  login: { url: "/auth/login", body: { delivery: "cookie" } },
  refresh: { url: "/auth/refresh", ...COOKIE },
  logout: { url: "/auth/logout", ...COOKIE },
  csrf: { header: "X-CSRF-Token", url: "/auth/csrf" },
  tokens: { refresh_token: null, csrf_token: "/csrf_token" },
  refresh_over: [{ status: 401, body: { "/code": ["token_invalid"] } }, { status: 403, body: { "/code": ["csrf"] } }],
};

test("the built-in dialects are those of the documents that the server ships", () => {
  assert.equal(readFileSync(new URL("../../src/dialects.js", import.meta.url), "utf8"), text(), "run npm run dialects");
});

test("every built-in dialect is a good document, under its own name", () => {
  for (const [name, document] of Object.entries(DIALECTS)) assert.equal(read(document).name, name);
});

test("what only a server needs is accepted, and says nothing", () => {
  const { failure, ...plain } = complete(DIALECTS.nest);
  const more = { $schema: "dialect.schema.json", about: "One.", success: { body: { ok: true } }, failure };
  assert.deepEqual({ ...read({ ...DIALECTS.nest, ...more }), about: "", success: { body: {} }, failure }, { ...plain, failure });
});

/** By the place that is named. @type {Record<string, any>} */
const REFUSED = {
  "/acces_token": { acces_token: {} },
  "/refresh/urls": { refresh: { url: "/r", urls: [] } },
  "/refresh/url": { refresh: {} },
  "/refresh/token/kind": { refresh: { url: "/r", token: { kind: "local" } } },
  "/access_token/header": { access_token: { header: "X Token" } },
  "/tokens/access_token": { tokens: { access_token: "data.token" } },
  "/expired/0/status": { expired: [{ status: "401" }] },
  "/expired/0/body/~1code": { expired: [{ status: 400, body: { "/code": 401 } }] },
  "/opt_out/value": { opt_out: { header: "isToken" } },
  "/csrf": { refresh: { url: "/r", ...COOKIE }, logout: null, tokens: { refresh_token: null } },
  "/csrf/cookie": { csrf: { cookie: "a b" } },
  "/logout/token/kind": { ...IN_COOKIE, logout: { url: "/auth/logout" } },
  "/tokens/refresh_token": { ...IN_COOKIE, tokens: { csrf_token: "/csrf_token" } },
  "/tokens/csrf_token": { tokens: { csrf_token: "/csrf" } },
  "/login/method": { login: { url: "/login", method: "GET" } },
  "/refresh/token/scheme": { refresh: { url: "/r", token: { kind: "query", scheme: "Bearer" } } },
  "/logout/url": { refresh: { url: "/same" }, logout: { url: "/same" } },
  "/tokens/session_id": { tokens: { session_id: "/access_token/id" } },
  "/opt_out/header": { opt_out: { header: "authorization", value: "no" } },
  "/stale/0": { stale: [{ status: 401 }] },
  "/expired/0": { over: [{ status: 401 }] },
  "/success": { success: { body: { code: 0 } }, expired: [{ status: 200, body: { "/code": [0] } }] },
  "/failure": { failure: { status: 401 } },
  "/tokens/expires_in": { success: { body: { data: "x" } }, tokens: { expires_in: "/data/expires" } },
  "/refresh/headers/Cookie": { refresh: { url: "/r", headers: { Cookie: "a=b" } } },
};

for (const [place, document] of Object.entries(REFUSED)) {
  test(`a dialect that is wrong at ${place} is refused with a TypeError that names it`, async () => {
    assert.throws(() => read(document), (/** @type {any} */ error) => error instanceof TypeError && error.message.startsWith(`dialect ${place} `));
    const session = createSession({ baseURL: "http://127.0.0.1:9", store: memoryStore(), dialect: document });
    for (const call of [session.restore(), session.fetch("/x"), session.token(), session.logout()]) {
      await assert.rejects(call, TypeError);
    }
  });
}

test("a GET with the token in its body is refused", () => {
  assert.throws(() => read({ refresh: { url: "/r", method: "GET" } }), /dialect \/refresh\/token\/kind a GET has no body/);
});

test("a name that no dialect has is refused with those that there are", async () => {
  const session = createSession({ baseURL: "http://127.0.0.1:9", store: memoryStore(), dialect: "toString" });
  await assert.rejects(session.fetch("/x"), { name: "TypeError", message: /no dialect toString: name one of code-in-200, .*raw-header/ });
});

test("evertoken's own speech, written out, says and judges what its documents do", () => {
  const pairs = /** @type {const} */ ([[bodySpeech, DIALECTS.evertoken], [cookieSpeech, IN_COOKIE]]);
  const documents = [undefined, null, [], "code", ...["session_over", "token_invalid", "csrf", "stale", "x"].map((code) => ({ code }))];
  const answer = { access_token: "a", refresh_token: "r", csrf_token: "c", session_id: "s", reason: "expired_idle", expires_in: 9 };
  for (const [own, document] of pairs) {
    const other = speechOf(read(document));
    for (const status of [200, 204, 400, 401, 403, 503]) {
      for (const body of documents) {
        for (const isRefresh of [false, true]) {
          assert.equal(own.verdict(status, body, isRefresh), other.verdict(status, body, isRefresh), JSON.stringify([status, body, isRefresh]));
        }
      }
      assert.equal(own.looksInto(status), other.looksInto(status));
    }
    for (const name of ["access_token", "refresh_token", "session_id", "reason", "expires_in", "refresh_token_expires_in"]) {
      assert.equal(own.find(answer, name), other.find(answer, name), name);
    }
    const who = { username: "ada", password: "p", client_id: "kiosk" };
    for (const [name, token, members] of /** @type {const} */ ([["login", null, who], ["refresh", "t", undefined], ["logout", "t", undefined], ["csrf", null, undefined]])) {
      const [one, two] = [own.call(name, token, members && { ...own.more, ...members }), other.call(name, token, members ?? {})].map(spelled);
      assert.deepEqual(one, two, name);
    }
  }
});

/** A call in a form that can be compared. @param {?[string, RequestInit]} call */
function spelled(call) {
  if (!call) return null;
  const [url, { method = "GET", headers, body, credentials = "same-origin" }] = call;
  const sent = new Headers(headers);
  sent.delete("Accept");
  return { url, method, headers: [...sent], body: body ? JSON.parse(String(body)) : undefined, credentials };
}
