/** Attacks on what a browser keeps: planted and tossed cookies, sessions begun for somebody else, tokens that leak. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { attackersPage, other, VICTIM } from "./support/attackers.js";
import {
  ask, askMany, COOKIE, eventsOf, heard, live, logout, ready, restore, signIn, skip, stage, statuses,
} from "./support/stage.js";

/** A cookie of eve's own session, taken from her own browser. */
async function evesCookie({ profile, tab, front }) {
  const context = await profile();
  const page = await tab(context);
  assert.equal(await signIn(page, "eve"), null);
  assert.equal((await ask(page)).who, "u_eve");
  const [{ value }] = (await context.cookies(front.origin(VICTIM.host))).filter(({ name }) => name === COOKIE);
  return { value, page };
}

const DOMAIN = "Domain=example.test; Path=/; Secure";
const plantings = (value) => [
  `${COOKIE}=${value}; ${DOMAIN}`, `${COOKIE}=${value}; ${DOMAIN}; HttpOnly`,
  `${COOKIE}=${value}; Domain=example.test; Path=/auth`,
  `=${COOKIE}=${value}; ${DOMAIN}`, `${COOKIE.toLowerCase()}=${value}; ${DOMAIN}`, `evertoken=${value}; ${DOMAIN}`,
  `__Host-evertoken=${value}; ${DOMAIN}`, `__Http-evertoken=${value}; ${DOMAIN}; HttpOnly`, `"${COOKIE}"=${value}; ${DOMAIN}`,
  `a=b, ${COOKIE}=${value}; ${DOMAIN}`, `x="; ${COOKIE}=${value}"; ${DOMAIN}`,
];
/** Blanks that browsers leave at a cookie's name, and some servers take off. */
const blanks = (value) => ["\u2000", "\u0085", "\u00a0", "\u3000"].map((blank) => `${blank}${COOKIE}=${value}; ${DOMAIN}`);

/** All ways in which a sibling can toss a cookie into the victim's jar; how many it holds afterwards. */
async function toss({ context, front }, value) {
  const evil = await attackersPage(context, front.origin("evil.example.test"));
  await evil.evaluate((all) => {
    for (const each of all) document.cookie = each;
  }, [...plantings(value), ...blanks(value)]);
  front.plants = plantings(value).map((each) => each.replace("Path=/;", "Path=/auth;")).concat(plantings(value));
  await evil.goto(`${front.origin("evil.example.test")}/plant`);
  const jar = await context.cookies(`${front.origin(VICTIM.host)}/auth/refresh`);
  return jar.filter((each) => each.domain === ".example.test");
}

test("a sibling that tosses cookies before the sign-in plants no session", { skip }, async (t) => {
  const stand = await stage(t, VICTIM);
  const { server, front, tab: open, cookie } = stand;
  const eve = await evesCookie(stand);
  const tossed = await toss(stand, eve.value);
  assert.ok(tossed.length >= 3, "some are taken by the browser: lower case, without the prefix, with blanks");
  assert.ok(tossed.every(({ name }) => name !== COOKIE));
  const tab = await open();
  assert.equal(await restore(tab), false, "nobody is signed in by them");
  assert.equal(front.of("/auth/csrf").at(-1).status, 401);
  assert.ok(front.of("/auth/csrf").at(-1).headers.cookie?.includes(eve.value), "though they came along");
  assert.equal(await signIn(tab), null);
  front.expire();
  assert.equal((await ask(tab)).who, "u_ada");
  assert.notEqual(await cookie(), eve.value);
  assert.deepEqual(live(await server.records()).map(({ username }) => username).sort(), ["ada", "eve"]);
});

test("a sibling that tosses cookies after the sign-in neither changes who it is nor signs anybody out", { skip }, async (t) => {
  const stand = await stage(t, VICTIM);
  const { server, front, signedIn, cookie } = stand;
  const eve = await evesCookie(stand);
  const [tab] = await signedIn();
  await toss(stand, eve.value);
  front.expire();
  assert.equal((await ask(tab)).who, "u_ada");
  assert.ok(front.of("/auth/refresh").at(-1).headers.cookie?.includes(eve.value), "though they came along");
  assert.equal(await cookie(), front.cookies.at(-1));
  await tab.reload();
  await ready(tab);
  assert.equal(await restore(tab), true);
  assert.equal((await ask(tab)).who, "u_ada");
  assert.deepEqual(await eventsOf(tab, "signedout"), []);
  assert.deepEqual(live(await server.records()).map(({ username }) => username).sort(), ["ada", "eve"]);
});

test("two cookies of the name, one of them planted, are refused and change nothing", { skip }, async (t) => {
  const stand = await stage(t, VICTIM);
  const { server, front, signedIn, cookie } = stand;
  const eve = await evesCookie(stand);
  const [tab] = await signedIn();
  const mine = await cookie();
  const before = await server.records();
  // No browser that knows the prefix sends two; an old one, or a proxy, might.
  front.tossed = `${COOKIE}=${eve.value}`;
  front.expire();
  assert.equal((await ask(tab)).code, "refresh_unavailable");
  assert.equal(front.of("/auth/refresh").at(-1).status, 400);
  assert.deepEqual(await server.records(), before);
  front.tossed = "";
  assert.equal(await cookie(), mine);
  await tab.reload();
  await ready(tab);
  assert.equal(await restore(tab), true);
  assert.equal((await ask(tab)).who, "u_ada");
});

test("a server at another port of the name, whose cookies browsers take for ours, makes a signed-in page nobody else's", { skip }, async (t) => {
  const stand = await stage(t, VICTIM);
  const { server, front, context, signedIn, cookie } = stand;
  const eve = await evesCookie(stand);
  const tabs = await signedIn(2);
  const near = await other("https");
  near.reset();
  near.plants = [`${COOKIE}=${eve.value}; Path=/; Secure; HttpOnly; SameSite=Strict`];
  await (await context.newPage()).goto(`${near.origin(VICTIM.host)}/plant`);
  // A limit of cookies (RFC 6265 §8.5): they know no ports. What stands in the way is the CSRF token of her session.
  assert.equal(await cookie(), eve.value);
  const { length } = front.seen;
  front.expire();
  for (const tab of tabs) {
    assert.equal((await ask(tab)).code, "signed_out");
    assert.equal((await eventsOf(tab, "signedout")).length, 1);
  }
  const later = front.seen.slice(length);
  assert.deepEqual(later.filter(({ path }) => path === "/auth/refresh").map(({ status }) => status), [403]);
  assert.deepEqual(later.filter(({ path, status }) => path === "/api/x" && status === 200), [], "nothing went out as eve");
  assert.equal(await signIn(tabs[0]), null);
  front.expire();
  assert.equal((await ask(tabs[0])).who, "u_ada");
  const { sessions } = await server.records();
  assert.deepEqual(sessions.map(({ username, revoked }) => [username, revoked === null]), [
    ["eve", false], ["ada", true], ["ada", true],
  ]);
});

test("whoever was signed in before on this browser has nothing of the session that begins now", { skip }, async (t) => {
  const stand = await stage(t, VICTIM);
  const { server, front, context, tab: open, cookie } = stand;
  const eve = await evesCookie(stand);
  // As after somebody has sat at this machine before.
  await context.addCookies([{
    name: COOKIE, value: eve.value, url: front.origin(VICTIM.host), httpOnly: true, secure: true, sameSite: "Strict",
  }]);
  const tab = await open();
  assert.equal(await restore(tab), true);
  assert.equal((await ask(tab)).who, "u_eve");
  assert.equal(await signIn(tab), null);
  assert.equal((await ask(tab)).who, "u_ada");
  assert.notEqual(await cookie(), eve.value);
  const { sessions } = await server.records();
  assert.equal(sessions.length, 2);
  assert.deepEqual(sessions.map(({ username, revoked }) => [username, revoked === null]), [["eve", false], ["ada", true]]);
  front.expire();
  // The copy that eve kept in her own browser died with it.
  assert.equal((await ask(eve.page)).code, "signed_out");
  assert.equal((await ask(tab)).who, "u_ada");
});

test("a script of the page can neither read the refresh token nor be handed it, nor put one in its place", { skip }, async (t) => {
  const { server, front, signedIn, cookie, tab: open } = await stage(t, VICTIM);
  const [tab] = await signedIn();
  const csrf = JSON.parse(front.of("/auth/login")[0].body).csrf_token;
  const found = await tab.evaluate(async (token) => {
    const seen = [document.cookie, JSON.stringify(await cookieStore.getAll())];
    const post = (path, body) =>
      fetch(path, {
        method: "POST", headers: { "X-CSRF-Token": token, "Content-Type": "application/json" }, body: JSON.stringify(body),
      });
    const asked = [{ delivery: "body" }, { delivery: "body", refresh_token: null }, { grant_type: "refresh_token" }];
    for (const body of asked) {
      const response = await post("/auth/refresh", body);
      seen.push(`${response.status} ${await response.text()}`, JSON.stringify([...response.headers]));
    }
    const paths = ["/auth/csrf", "/auth/me", "/auth/sessions", "/oauth/token?delivery=body", "/auth/refresh?delivery=body"];
    for (const path of paths) {
      seen.push(await (await fetch(path)).text());
    }
    // The CSRF token is no refresh token, wherever it stands.
    const asToken = await post("/auth/refresh", { refresh_token: token });
    seen.push(`${asToken.status} ${await asToken.text()}`);
    const asBearer = await fetch("/auth/me", { headers: { Authorization: `Bearer ${token}` } });
    seen.push(`${asBearer.status} ${await asBearer.text()}`);
    seen.push(JSON.stringify(performance.getEntries()));
    return seen;
  }, csrf);
  assert.ok(front.cookies.length >= 2, "there were refresh tokens to be found");
  for (const value of front.cookies) assert.ok(!found.join().includes(value));
  for (const { body } of front.seen) assert.doesNotMatch(body, /etr_|"refresh_token"/);
  assert.ok(found.some((each) => each.startsWith("200 ")), "refreshing itself was allowed");
  assert.deepEqual(found.slice(-3, -1).map((each) => each.slice(0, 3)), ["400", "401"]);

  const mine = await cookie();
  await tab.evaluate(async (name) => {
    document.cookie = `${name}=etr_planted; Path=/; Secure`;
    document.cookie = `${name}=; Path=/; Secure; Max-Age=0`;
    await cookieStore.set({ name, value: "etr_planted", path: "/" }).catch(() => "refused");
    await cookieStore.delete(name).catch(() => "refused");
  }, COOKIE);
  assert.equal(await cookie(), mine);
  front.expire();
  const fresh = await open();
  assert.equal(await restore(fresh), true);
  assert.equal((await ask(fresh)).who, "u_ada");
  assert.equal(live(await server.records()).length, 1);
});

test("a refresh without the CSRF token, or with another session's, is refused and changes nothing", { skip }, async (t) => {
  const stand = await stage(t, VICTIM);
  const { server, front, signedIn } = stand;
  await evesCookie(stand);
  const evesCsrf = JSON.parse(front.of("/auth/login")[0].body).csrf_token;
  const [tab] = await signedIn();
  const before = await server.records();
  const results = await tab.evaluate(async (foreign) => {
    const all = [];
    for (const path of ["/auth/refresh", "/auth/logout"]) {
      for (const headers of [{}, { "X-CSRF-Token": "" }, { "X-CSRF-Token": foreign }, { "X-CSRF-Token": "x".repeat(43) }]) {
        all.push((await fetch(path, { method: "POST", headers })).status);
      }
      all.push((await fetch(`${path}?csrf_token=${foreign}`)).status);
    }
    return all;
  }, evesCsrf);
  assert.deepEqual(results, [403, 403, 403, 403, 405, 403, 403, 403, 403, 405]);
  assert.deepEqual(await server.records(), before);
  front.expire();
  assert.equal((await ask(tab)).who, "u_ada");
});

test("the access token goes to no foreign origin, neither asked directly nor by way of a redirect", { skip }, async (t) => {
  const { front, signedIn } = await stage(t, VICTIM);
  const [tab] = await signedIn();
  const tokens = [...front.good.keys()];
  const near = await other("https");
  near.reset();
  near.allowed = [front.origin(VICTIM.host)];
  const hosts = ["evil.test", "evil.example.test", "app.example.test", "app.example.test.evil.test"];
  const origins = hosts.map((host) => near.origin(host));
  const { port } = near;
  const spelled = [
    ...origins.map((origin) => `${origin}/api/taken`), `//evil.test:${port}/api/taken`, `\\\\evil.test:${port}/api/taken`,
    `https:\\\\evil.test:${port}/api/taken`, `https://app.example.test:${front.port}.evil.test:${port}/api/taken`,
    `https://EVIL.TEST:${port}/api/taken`, `\t//evil.test:${port}/api/taken`,
  ];
  for (const url of spelled) await ask(tab, url);
  for (const origin of origins) {
    front.away = `${origin}/api/taken`;
    assert.equal((await ask(tab, "/api/away")).status, 401);
  }
  const taken = near.of("/api/taken").filter(({ method }) => method === "GET");
  assert.ok(taken.length >= spelled.length - 1 + origins.length, `${taken.length} requests did arrive there`);
  for (const { headers } of near.seen) {
    assert.equal(headers.authorization, undefined);
    for (const token of tokens) assert.ok(!JSON.stringify(headers).includes(token));
  }
  assert.equal(front.refreshes, 0, "a foreign 401 renews nothing");
  assert.deepEqual(statuses(await askMany(tab, 3)), [200, 200, 200]);
});

test("no other origin hears an access token on the tabs' channel, nor can it put one there", { skip }, async (t) => {
  const { front, context, signedIn } = await stage(t, VICTIM);
  const tabs = await signedIn(2);
  const session_id = JSON.parse(front.of("/auth/login")[0].body).session_id;
  const origins = [front.origin("evil.test"), front.origin("evil.example.test"), (await other("https")).origin(VICTIM.host)];
  const evils = [];
  for (const origin of origins) {
    const evil = await attackersPage(context, origin);
    await evil.evaluate((id) => {
      window.overheard = [];
      window.channel = new BroadcastChannel("evertoken:evertoken");
      channel.onmessage = ({ data }) => overheard.push(data);
      channel.postMessage({ ask: true });
      for (const version of [1, 2, 3]) {
        channel.postMessage({ token: { version, session_id: id, access_token: "forged" }, changed: true });
      }
      addEventListener("message", ({ data }) => overheard.push(data));
    }, session_id);
    evils.push(evil);
  }
  front.expire();
  for (const tab of tabs) assert.deepEqual(statuses(await askMany(tab, 3)), [200, 200, 200]);
  assert.equal(front.refreshes, 1);
  for (const evil of evils) assert.deepEqual(await evil.evaluate(() => overheard), []);
  assert.ok(!JSON.stringify(front.seen.map(({ headers }) => headers)).includes("forged"));
});

test("after a sign-out no tab tells the access token any more, whoever asks", { skip }, async (t) => {
  const { front, context, signedIn, base } = await stage(t, VICTIM);
  const tabs = await signedIn(2);
  const page = await context.newPage();
  await page.goto(`${base}/blank`);
  const overheard = () =>
    page.evaluate(async (count) => {
      const channel = new BroadcastChannel("evertoken:evertoken");
      const notices = [];
      const isAnswered = new Promise((resolve) => {
        channel.onmessage = ({ data }) => notices.push(data) && data.fence && (count -= 1) === 0 && resolve();
      });
      channel.postMessage({ ask: true });
      await isAnswered;
      channel.close();
      return JSON.stringify(notices);
    }, tabs.length);
  // Comes after the answer of the session of the same page.
  for (const tab of tabs) {
    await tab.evaluate(() => {
      window.hedge = new BroadcastChannel("evertoken:evertoken");
      hedge.onmessage = ({ data }) => data.ask && hedge.postMessage({ fence: true });
    });
  }
  const [token] = front.good.keys();
  assert.ok((await overheard()).includes(token), "signed in, a tab that was just loaded would be told");
  assert.equal(await logout(tabs[0]), null);
  await heard(tabs[1], "signedout");
  assert.equal((await ask(tabs[1])).code, "signed_out");
  assert.ok(!(await overheard()).includes(token));
  // Not even where it was told late, by a tab that had not heard of the sign-out.
  const [version, session_id] = [1, JSON.parse(front.of("/auth/login")[0].body).session_id];
  await tabs[1].evaluate((known) => hedge.postMessage({ token: known }), { version, session_id, access_token: token });
  assert.equal((await overheard()).split(token).length - 1, 0);
});

test("on plain http in a LAN, where no prefix guards the cookie, a sibling's beside it is refused and changes nothing", { skip }, async (t) => {
  const lan = { host: "app.lan.test" };
  const { server, front, context, profile, tab: open } = await stage(t, lan);
  const hers = await profile();
  const evesTab = await open(hers);
  assert.equal(await signIn(evesTab, "eve"), null);
  const [{ value, name }] = await hers.cookies();
  assert.equal(name, "evertoken");
  const tab = await open();
  assert.equal(await signIn(tab), null);
  assert.equal((await ask(tab)).who, "u_ada");
  const before = await server.records();
  const sibling = await attackersPage(context, front.origin("evil.lan.test"));
  await sibling.evaluate((planted) => {
    document.cookie = `evertoken=${planted}; Domain=lan.test; Path=/auth`;
  }, value);
  front.expire();
  const refused = await ask(tab);
  assert.equal(refused.code, "refresh_unavailable");
  assert.equal(front.of("/auth/refresh").at(-1).status, 400);
  assert.match(front.of("/auth/refresh").at(-1).body, /planted/);
  assert.deepEqual(await server.records(), before);
  assert.deepEqual(front.of("/api/x").filter(({ status, body }) => status === 200 && !body.includes("u_ada")), []);
  await context.clearCookies({ domain: ".lan.test" });
  await tab.reload();
  await ready(tab);
  assert.equal(await restore(tab), true);
  assert.equal((await ask(tab)).who, "u_ada");
});
