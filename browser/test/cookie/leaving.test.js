/** Answers that are lost or late, and tabs that go away while a refresh is in the air. */

import assert from "node:assert/strict";
import { test } from "node:test";

import {
  answerOf, ask, begin, eventsOf, live, logout, ready, restore, signIn, skip, stage, statuses,
} from "./support/stage.js";
import { within } from "../chromium/support/within.js";

/** Until this cookie stands in the jar; a page asks something meanwhile, so that time passes in its browser. */
async function arrived(tab, cookie, value) {
  for (let look = 0; look < 200 && (await cookie()) !== value; look += 1) {
    await tab.evaluate(() => fetch("/blank").then(() => null));
  }
  assert.equal(await cookie(), value);
}

/** Until somebody waits for the lease. */
const inLine = (tab) =>
  within(
    "a lease that is waited for",
    tab.evaluate(async () => {
      while ((await navigator.locks.query()).pending.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    }),
  );

/** One tab refreshes, its answer is held, and it goes away; another tab and the cookie see the rest. */
async function leftInTheMiddle(t, leave) {
  const { server, front, signedIn, tab: open, cookie, base } = await stage(t, { overlap: 0 });
  const [leaving, staying] = await signedIn(2);
  front.expire();
  const held = front.hold("/auth/refresh");
  await begin(leaving);
  await held.arrived();
  await leave(leaving, base);
  held.release();
  await arrived(staying, cookie, front.cookies[1]);
  const tab = leaving.isClosed() ? await open() : leaving;
  if (!leaving.isClosed()) await tab.goto(`${base}/page`).then(() => ready(tab));
  assert.equal(await restore(tab), true);
  for (let round = 0; round < 2; round += 1) {
    front.expire();
    assert.deepEqual(statuses(await Promise.all([ask(tab), ask(staying)])), [200, 200]);
  }
  assert.deepEqual([await eventsOf(tab, "signedout"), await eventsOf(staying, "signedout")], [[], []]);
  assert.equal(await cookie(), front.cookies.at(-1), "the newest cookie that was sent is the one that is kept");
  const { sessions, refreshes } = await server.records();
  assert.deepEqual([sessions.length, sessions[0].revoked, refreshes.replay ?? 0], [1, null, 0]);
}

const LEAVING = {
  "is closed": (tab) => tab.close(),
  "is reloaded": (tab) => tab.reload(),
  "goes to another page": (tab, base) => tab.goto(`${base}/blank`),
  "goes to another site": (tab) => tab.goto("data:text/html,elsewhere"),
};

for (const [how, leave] of Object.entries(LEAVING)) {
  test(`a tab that ${how} in mid-refresh signs nobody out`, { skip }, (t) => leftInTheMiddle(t, leave));
}

test("the cookie of a refresh whose page has gone still arrives", { skip }, async (t) => {
  const { front, signedIn, cookie, context, base } = await stage(t);
  const [tab] = await signedIn();
  front.expire();
  const held = front.hold("/auth/refresh");
  await begin(tab);
  await held.arrived();
  await tab.close();
  const blank = await context.newPage();
  await blank.goto(`${base}/blank`);
  held.release();
  await arrived(blank, cookie, front.cookies[1]);
});

test("an answer to a refresh that is lost on its way is asked for once more, and no request fails", { skip }, async (t) => {
  const { server, front, signedIn, cookie } = await stage(t, { overlap: 0 });
  const [tab] = await signedIn();
  front.expire();
  front.lose("/auth/refresh", 2);
  assert.equal((await ask(tab)).status, 200);
  assert.equal(front.of("/auth/refresh").length, 3);
  front.expire();
  assert.equal((await ask(tab)).status, 200);
  assert.equal(await cookie(), front.cookies.at(-1));
  assert.deepEqual(live(await server.records()).length, 1);
});

test("a sign-in waits for a refresh that is in the air, so that the late answer does not take its cookie", { skip }, async (t) => {
  const { server, front, signedIn, cookie } = await stage(t, { overlap: 0 });
  const [ada, other] = await signedIn(2);
  front.expire();
  const held = front.hold("/auth/refresh");
  await begin(ada);
  await held.arrived();
  await begin(other, "session.login({ username: 'bob', password: 'staple-of-the-stable' }).then(() => null, tell)");
  await inLine(other);
  assert.equal(front.of("/auth/login").length, 1, "hers");
  held.release();
  assert.equal(await answerOf(other), null);
  assert.equal(front.of("/auth/login").length, 2);
  assert.equal(await cookie(), front.cookies.at(-1));
  front.expire();
  assert.equal((await ask(other)).who, "u_bob");
  assert.deepEqual(live(await server.records()).map(({ username }) => username), ["bob"]);
});

test("a late cookie of a tab that was closed makes nobody somebody else: the page is signed out, once", { skip }, async (t) => {
  const { front, signedIn, cookie } = await stage(t);
  const [ada, other] = await signedIn(2);
  front.expire();
  const held = front.hold("/auth/refresh");
  await begin(ada);
  await held.arrived();
  await ada.close();
  assert.equal(await signIn(other, "bob"), null);
  const [, late, bobs] = front.cookies;
  assert.equal(await cookie(), bobs);
  held.release();
  // A limit of cookies: nobody can call back an answer that is on its way.
  await arrived(other, cookie, late);
  assert.equal((await ask(other)).who, "u_bob");
  front.expire();
  assert.equal((await ask(other)).code, "signed_out");
  assert.equal(front.of("/auth/refresh").at(-1).status, 403, "the CSRF token is another session's");
  assert.equal((await eventsOf(other, "signedout")).length, 1);
  const [, , ...answered] = front.of("/api/x").filter(({ status }) => status === 200);
  assert.deepEqual(answered.map(({ body }) => JSON.parse(body).who), ["u_bob"]);
  assert.equal(await signIn(other, "bob"), null);
  assert.equal((await ask(other)).who, "u_bob");
});

test("a sign-out waits for a refresh that is in the air, so that the late answer brings no cookie back", { skip }, async (t) => {
  const { server, front, signedIn, cookie } = await stage(t);
  const [tab, other] = await signedIn(2);
  front.expire();
  const held = front.hold("/auth/refresh");
  await begin(tab);
  await held.arrived();
  await begin(other, "session.logout().then(() => null, tell)");
  await inLine(other);
  held.release();
  assert.equal(await answerOf(other), null);
  assert.equal(await cookie(), null);
  assert.deepEqual(live(await server.records()), []);
});

test("a sign-out without an answer keeps the session, and says so", { skip }, async (t) => {
  const { front, signedIn, cookie } = await stage(t);
  const [tab] = await signedIn();
  front.lose("/auth/logout");
  assert.equal((await logout(tab)).code, "refresh_unavailable");
  // The server has done it; the second try clears what is left here.
  assert.equal(await logout(tab), null);
  assert.equal((await ask(tab)).code, "signed_out");
  assert.equal(await cookie(), null);
  assert.equal(await signIn(tab), null);
  assert.equal((await ask(tab)).status, 200);
});
