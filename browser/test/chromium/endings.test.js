/** The end of a session, and who hears of it. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { answerOf, ask, askMany, begin, signedOutEvents, signIn, skip, stage, stored } from "./support/stage.js";

/** @param {unknown[]} answers @param {string} reason */
function allSignedOut(answers, reason) {
  for (const answer of answers) assert.deepEqual([answer.code, answer.reason], ["signed_out", reason]);
}

test("a session ended at the server gives every tab one signedout event, and no loop", { skip }, async (t) => {
  const { server, front, signedIn } = await stage(t);
  const tabs = await signedIn(3);
  await server.end("revoked");
  for (const tab of tabs) allSignedOut(await askMany(tab, 5), "revoked");
  const sent = front.of("/x").length;
  for (const tab of tabs) {
    allSignedOut(await askMany(tab, 20), "revoked");
    assert.deepEqual(await signedOutEvents(tab), ["revoked"]);
  }
  assert.equal(await server.refreshes(), 1);
  assert.equal(front.of("/x").length, sent, "what can only be refused is not sent");
});

test("three tabs that learn of the end at the same time get one signedout event each", { skip }, async (t) => {
  const { server, signedIn } = await stage(t);
  const tabs = await signedIn(3);
  await server.end("replayed");
  allSignedOut((await Promise.all(tabs.map((tab) => askMany(tab, 5)))).flat(), "replayed");
  for (const tab of tabs) assert.deepEqual(await signedOutEvents(tab), ["replayed"]);
  assert.equal(await server.refreshes(), 1);
});

test("after the end, a new sign-in in one tab lets the others go on", { skip }, async (t) => {
  const { server, signedIn } = await stage(t);
  const [first, second] = await signedIn(2);
  await server.end("revoked");
  for (const tab of [first, second]) allSignedOut([await ask(tab, "/x")], "revoked");
  assert.equal(await signIn(first), null);
  assert.equal((await ask(second, "/x")).status, 200);
  assert.deepEqual(await signedOutEvents(second), ["revoked"]);
});

test("a sign-out in one tab while another refreshes leaves nobody signed in", { skip }, async (t) => {
  const { server, signedIn } = await stage(t);
  const [refreshing, leaving] = await signedIn(2);
  await server.expire();
  await server.hold();
  await begin(refreshing, "/x");
  await server.awaitHeld();
  await leaving.evaluate(() => void (window.pending = session.logout().then(() => "signed out", tell)));
  await server.release();
  assert.equal(await answerOf(leaving), "signed out");
  const late = await answerOf(refreshing);
  assert.ok(late.status === 200 || late.status === 401 || late.code === "signed_out", JSON.stringify(late));
  for (const tab of [refreshing, leaving]) {
    allSignedOut(await askMany(tab, 3), "signed_out");
    assert.deepEqual(await signedOutEvents(tab), ["signed_out"]);
  }
  assert.equal(await stored(leaving), null, "no tokens were written back");
});

test("a sign-out in the tab that refreshes leaves nobody signed in, and nobody waiting", { skip }, async (t) => {
  const { server, signedIn } = await stage(t);
  const [tab] = await signedIn();
  await server.expire();
  await server.hold();
  await begin(tab, "/x");
  await server.awaitHeld();
  await tab.evaluate(() => void (window.leaving = session.logout().then(() => "signed out", tell)));
  await server.release();
  assert.equal(await answerOf(tab, "leaving"), "signed out");
  await answerOf(tab);
  allSignedOut(await askMany(tab, 3), "signed_out");
  assert.deepEqual(await signedOutEvents(tab), ["signed_out"]);
  assert.equal(await stored(tab), null);
});

test("a sign-out that the server has not confirmed keeps the tokens and says so", { skip }, async (t) => {
  const { signedIn } = await stage(t);
  const [tab] = await signedIn();
  const before = await stored(tab);
  await tab.context().setOffline(true);
  assert.equal((await tab.evaluate(() => session.logout().catch(tell))).code, "refresh_unavailable");
  await tab.context().setOffline(false);
  assert.equal(await stored(tab), before);
  assert.equal((await ask(tab, "/x")).status, 200);
});

test("no request of one user is sent as another who signs in in another tab", { skip }, async (t) => {
  const { server, front, signedIn } = await stage(t);
  const [ada, bob] = await signedIn(2);
  assert.equal(await signIn(bob, "bob"), null);
  await server.expire();
  // Bob's new token has gone too, so the store holds nothing that ada's tab could take by mistake but a refresh token.
  assert.equal((await ask(bob, "/bob")).subject, "bob");
  allSignedOut(await askMany(ada, 5, "/ada"), "signed_in_anew");
  allSignedOut(await askMany(ada, 5, "/ada"), "signed_in_anew");
  assert.deepEqual(await signedOutEvents(ada), ["signed_in_anew"]);
  const bobs = new Set(front.of("/bob").map((request) => request.authorization));
  assert.ok(front.of("/ada").every((request) => !bobs.has(request.authorization)));
  assert.equal((await ask(bob, "/bob")).subject, "bob");
});

test("a request that waits for a refresh is not sent as the user who signs in meanwhile", { skip }, async (t) => {
  const { server, front, signedIn } = await stage(t);
  const [ada, other] = await signedIn(2);
  await server.expire();
  await server.hold();
  await begin(ada, "/ada");
  await server.awaitHeld();
  assert.equal(await signIn(other, "bob"), null);
  await server.release();
  allSignedOut([await answerOf(ada)], "signed_in_anew");
  assert.deepEqual(await signedOutEvents(ada), ["signed_in_anew"]);
  assert.equal(front.of("/ada").length, 1, "only with the expired token");
  assert.equal((await ask(other, "/bob")).subject, "bob");
});

test("a request that waits is not sent as the user who signs in meanwhile in the same tab", { skip }, async (t) => {
  const { server, front, signedIn } = await stage(t);
  const [tab] = await signedIn();
  await server.expire();
  await server.hold();
  await begin(tab, "/ada");
  await server.awaitHeld();
  assert.equal(await signIn(tab, "bob"), null);
  await server.release();
  allSignedOut([await answerOf(tab)], "signed_in_anew");
  assert.equal(front.of("/ada").length, 1, "only with the expired token");
  assert.equal((await ask(tab, "/bob")).subject, "bob");
  assert.deepEqual(await signedOutEvents(tab), [], "the page knows, for it signed bob in");
});

test("a late 401 is not answered by sending again as the user who has signed in since", { skip }, async (t) => {
  const { server, front, signedIn } = await stage(t);
  const [tab] = await signedIn();
  await server.expire();
  await begin(tab, "/late");
  await front.awaitLate(1);
  assert.equal(await signIn(tab, "bob"), null);
  front.releaseLate();
  allSignedOut([await answerOf(tab)], "signed_in_anew");
  assert.equal(front.of("/late").length, 1, "only with the expired token");
  assert.equal((await ask(tab, "/bob")).subject, "bob");
});

test("a request that waits goes on where the same user signs in meanwhile in the same tab", { skip }, async (t) => {
  const { server, signedIn } = await stage(t);
  const [tab] = await signedIn();
  await server.expire();
  await server.hold();
  await begin(tab, "/x");
  await server.awaitHeld();
  assert.equal(await signIn(tab), null);
  await server.release();
  assert.equal((await answerOf(tab)).subject, "ada");
  assert.deepEqual(await signedOutEvents(tab), []);
});
