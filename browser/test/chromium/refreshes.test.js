/** Refreshes that go wrong: whoever waits is told the same, and the tokens are kept. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { answerOf, ask, askMany, askUntilAnswered, begin, signedOutEvents, skip, stage, statuses, stored }
  from "./support/stage.js";

const html = { "Content-Type": "text/html" };
/** A tab asks three times where that may help. */
const FAULTS = [
  ["with 503", Array(3).fill({ status: 503 })],
  ["with a page of HTML", [{ body: "<!doctype html><h1>Please sign in</h1>", headers: html }]],
  ["with nothing", [{ body: "" }]],
  ["with 200 and an error", [{ body: '{"statusCode": 401, "message": "expired"}' }]],
  ["with null for tokens", [{ body: '{"access_token": null, "refresh_token": null, "expires_in": null}' }]],
];

for (const [how, faults] of FAULTS) {
  test(`a refresh answered ${how} tells all who wait the same and keeps the tokens`, { skip }, async (t) => {
    const { server, signedIn } = await stage(t, { rotation: "strict" });
    const [tab] = await signedIn();
    const before = await stored(tab);
    await server.expire();
    await server.script(...faults);
    const answers = await askMany(tab, 10);
    assert.deepEqual(statuses(answers), Array(10).fill("refresh_unavailable"));
    assert.equal(new Set(answers.map((answer) => answer.message)).size, 1);
    assert.equal(await server.refreshes(), faults.length);
    assert.equal(await stored(tab), before);
    assert.equal((await askUntilAnswered(tab, "/x")).status, 200);
    assert.equal(await server.refreshes(), faults.length + 1);
    assert.deepEqual(await signedOutEvents(tab), []);
  });
}

test("a refresh whose answer is lost on the way is repeated, and nobody notices", { skip }, async (t) => {
  const { server, signedIn } = await stage(t);
  const [tab] = await signedIn();
  await server.expire();
  await server.script({ lose_answer: true });
  assert.deepEqual(statuses(await askMany(tab, 5)), Array(5).fill(200));
  assert.equal(await server.reuses(), 0);
});

test("a refresh that gets no answer is given up in time, and the next one works", { skip }, async (t) => {
  const { server, signedIn } = await stage(t);
  const [tab] = await signedIn();
  await tab.evaluate(() => begin({ timeoutSeconds: 1 }));
  assert.equal((await ask(tab, "/x")).status, 200);
  await server.expire();
  await server.script({ hang: true });
  assert.deepEqual(statuses(await askMany(tab, 5)), Array(5).fill("refresh_unavailable"));
  assert.equal((await askUntilAnswered(tab, "/x")).status, 200);
  assert.deepEqual(await signedOutEvents(tab), []);
});

test("a request that is aborted while it waits rejects at once, and the refresh goes on", { skip }, async (t) => {
  const { server, front, signedIn } = await stage(t, { rotation: "strict" });
  const [tab] = await signedIn();
  await server.expire();
  await server.hold();
  await begin(tab, "/x");
  await server.awaitHeld();
  // The refresh is held at the server: only the abort can end this one.
  const aborted = await tab.evaluate(() => {
    const abort = new AbortController();
    const asked = window.ask("/aborted", { signal: abort.signal });
    abort.abort();
    return asked;
  });
  assert.equal(aborted.name, "AbortError");
  await server.release();
  assert.equal((await answerOf(tab)).status, 200);
  assert.equal(await server.refreshes(), 1);
  assert.equal(front.of("/aborted").length, 0, "it was not sent afterwards");
});

test("whoever started the refresh may give up: those who wait for it get their answers", { skip }, async (t) => {
  const { server, signedIn } = await stage(t, { rotation: "strict" });
  const [tab] = await signedIn();
  await server.expire();
  await server.hold();
  await tab.evaluate(() => {
    window.giveUp = new AbortController();
    window.starter = window.ask("/x", { signal: window.giveUp.signal });
  });
  await server.awaitHeld();
  await begin(tab, "/x");
  await tab.evaluate(() => window.giveUp.abort());
  assert.equal((await answerOf(tab, "starter")).name, "AbortError");
  await server.release();
  assert.equal((await answerOf(tab)).status, 200);
  assert.equal(await server.refreshes(), 1);
});

test("offline keeps the tokens, and back online the next request is answered", { skip }, async (t) => {
  const { server, signedIn } = await stage(t);
  const [tab] = await signedIn();
  const before = await stored(tab);
  // Later than the access token lives, so that a refresh has to come first.
  await tab.clock.setSystemTime(Date.now() + 3_600_000);
  await tab.context().setOffline(true);
  const answers = await askMany(tab, 5);
  assert.deepEqual(statuses(answers), Array(5).fill("refresh_unavailable"));
  assert.equal(await stored(tab), before);
  assert.deepEqual(await signedOutEvents(tab), []);
  await tab.context().setOffline(false);
  assert.equal((await askUntilAnswered(tab, "/x")).status, 200);
  assert.equal(await server.refreshes(), 1);
});

test("offline with a good token, a request fails as fetch fails, and nobody is signed out", { skip }, async (t) => {
  const { server, signedIn } = await stage(t);
  const [tab] = await signedIn();
  await tab.context().setOffline(true);
  assert.equal((await ask(tab, "/x")).name, "TypeError");
  await tab.context().setOffline(false);
  assert.equal((await ask(tab, "/x")).status, 200);
  assert.equal(await server.refreshes(), 0);
});
