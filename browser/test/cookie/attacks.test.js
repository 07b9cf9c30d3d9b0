/** Attacks by requests: what other sites, siblings and ports can do with the victim's cookie, in a real browser. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { attackersPage, other, VICTIM } from "./support/attackers.js";
import { strike } from "./support/strike.js";
import { ask, COOKIE, eventsOf, logout, PASSWORDS, ready, signIn, skip, stage } from "./support/stage.js";

/** Where attackers' pages live, and whether the browser sends the cookie along for them (SameSite=Strict). */
const ATTACKERS = {
  "of another site": [async (front) => front.origin("evil.test"), false],
  "of a sibling name": [async (front) => front.origin("evil.example.test"), true],
  "at another port of the same name": [async () => (await other("https")).origin("app.example.test"), true],
  "at plain http of the same name": [async () => (await other("http")).origin("app.example.test"), false],
  "in a sandboxed frame": [async (front) => front.origin("evil.example.test"), false, true],
};

const jarOf = async (context) =>
  (await context.cookies()).map(({ name, domain, value, path }) => [name, domain, path, value]).sort();

for (const [who, [where, getsCookie, isSandboxed]] of Object.entries(ATTACKERS)) {
  test(`a page ${who} can neither refresh, sign out nor sign in by form, fetch, image, frame or beacon`, { skip }, async (t) => {
    const { server, front, context, signedIn } = await stage(t, VICTIM);
    const [tab] = await signedIn();
    const csrf = JSON.parse(front.of("/auth/login")[0].body).csrf_token;
    const before = await server.records();
    const jar = await jarOf(context);
    const first = front.seen.length;
    const page = await attackersPage(context, await where(front), isSandboxed);
    const eve = { username: "eve", password: PASSWORDS.eve };
    const targets = [
      ["/auth/refresh", {}], ["/auth/logout", {}], ["/auth/csrf", {}],
      ["/auth/login", { ...eve, delivery: "cookie" }], ["/auth/login", { ...eve, delivery: "body" }],
    ].map(([path, body]) => ({ url: `${front.origin(VICTIM.host)}${path}`, body, csrf }));
    const read = (await page.evaluate(`Promise.all(${JSON.stringify(targets)}.map(${strike}))`)).flat();
    const sent = () => front.seen.slice(first).filter(({ path }) => path.startsWith("/auth/"));
    // The last ones are beacons, for which no page waits.
    const isPosted = ({ path, method }) => path === "/auth/login" && method === "POST";
    await front.until("the last beacon", () => sent().filter(isPosted).length >= 18);
    assert.deepEqual(read.filter(({ text }) => text), [], "no answer could be read");
    assert.equal(read.length, 5 * 17);
    for (const { method, path, status, answered } of sent()) {
      assert.ok([400, 401, 403, 405, 415].includes(status), `${method} ${path}: ${status}`);
      assert.equal(answered["set-cookie"], undefined);
      assert.equal(answered["access-control-allow-origin"], undefined);
    }
    const withCookie = sent().filter(({ headers }) => headers.cookie?.includes(COOKIE));
    if (getsCookie) {
      assert.ok(withCookie.length >= 20, "the browser does send the cookie: it is the server that refuses");
      assert.ok(withCookie.every(({ status }) => [403, 405, 415].includes(status)));
    } else assert.equal(withCookie.length, 0);
    const { events, sessions, refreshes } = await server.records();
    assert.deepEqual({ events, sessions, refreshes }, before, "nothing has changed at the server");
    assert.deepEqual(await jarOf(context), jar, "nor in the browser");
    front.expire();
    assert.equal((await ask(tab)).who, "u_ada");
    assert.deepEqual(await eventsOf(tab, "signedout"), []);
  });

  // A frame that is sandboxed cannot do that.
  if (isSandboxed) continue;
  test(`a page ${who} gains nothing by taking the whole tab to refresh, sign-out or sign-in`, { skip }, async (t) => {
    const { server, front, context, signedIn } = await stage(t, VICTIM);
    const [tab] = await signedIn();
    const before = await server.records();
    const page = await attackersPage(context, await where(front));
    const start = page.url();
    for (const path of ["/auth/refresh", "/auth/logout", "/auth/login", "/auth/csrf"]) {
      const url = `${front.origin(VICTIM.host)}${path}`;
      for (const method of ["POST", "GET"]) {
        const { length } = front.of(path);
        await page.goto(start);
        const arriving = page.waitForURL(({ pathname }) => pathname === path);
        await page.evaluate(([action, how]) => {
          const form = Object.assign(document.createElement("form"), { action, method: how, enctype: "text/plain" });
          document.body.append(form);
          form.submit();
        }, [url, method]);
        await arriving;
        assert.equal(front.of(path).length, length + 1);
        const { status, answered } = front.of(path).at(-1);
        assert.ok([400, 401, 403, 405, 415].includes(status), `${method} ${path}: ${status}`);
        assert.equal(answered["set-cookie"], undefined);
      }
    }
    assert.deepEqual(await server.records(), before);
    assert.equal(await logout(tab), null, "its owner can");
  });
}

test("names that look like an allow-listed origin cannot read who is signed in", { skip }, async (t) => {
  const { server, front, context } = await stage(t, {
    scheme: "https", host: "app.example.test", issuerHost: "api.example.test",
    allowed: (near) => [near.origin("app.example.test")],
  });
  const api = front.origin("api.example.test");
  const page = await context.newPage();
  const settings = encodeURIComponent(JSON.stringify({ baseURL: api }));
  await page.goto(`${front.origin("app.example.test")}/page?settings=${settings}`);
  await ready(page);
  assert.equal(await signIn(page), null);
  const before = await server.records();
  const near = ["app.example.test.evil.test", "evilapp.example.test", "x.app.example.test", "app-example.test", "example.test"];
  const origins = [...near.map((host) => front.origin(host)), (await other("https")).origin("app.example.test"),
    (await other("http")).origin("app.example.test")];
  const look = (url) =>
    fetch(url, { credentials: "include" }).then((response) => response.text(), (error) => error.name);
  for (const origin of origins) {
    const evil = await attackersPage(context, origin);
    for (const path of ["/auth/csrf", "/auth/me", "/auth/sessions", "/api/x"]) {
      assert.equal(await evil.evaluate(look, `${api}${path}`), "TypeError", `${origin} ${path}`);
    }
  }
  assert.match(await page.evaluate(look, `${api}/auth/csrf`), /csrf_token/, "the page itself can");
  const foreign = front.of("/auth/csrf").filter(({ headers }) => origins.includes(headers.origin));
  assert.ok(foreign.length >= origins.length - 1, "they did ask");
  for (const { headers, status, answered } of foreign) {
    assert.equal(status, 403, headers.origin);
    assert.match(String(answered.vary), /Origin/);
  }
  assert.deepEqual(await server.records(), before);
});

test("the server's answers and pages are shown in no frame, of any origin", { skip }, async (t) => {
  const { front, context, signedIn } = await stage(t, VICTIM);
  await signedIn();
  for (const origin of [front.origin("evil.test"), front.origin("evil.example.test"), front.origin(VICTIM.host)]) {
    const page = await attackersPage(context, origin);
    for (const path of ["/auth/csrf", "/auth/me", "/sessions", "/.well-known/jwks.json"]) {
      const shown = await page.evaluate(
        (url) =>
          new Promise((resolve) => {
            const frame = document.createElement("iframe");
            frame.onload = () => resolve(frame.contentDocument?.body?.textContent ?? "");
            frame.src = url;
            document.body.append(frame);
          }),
        `${front.origin(VICTIM.host)}${path}`,
      );
      assert.equal(shown, "");
      const frame = await (await page.locator("iframe").last().elementHandle()).contentFrame();
      await frame.waitForURL(/^chrome-error:/);
    }
    await page.close();
  }
});
