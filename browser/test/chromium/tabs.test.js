/** Many requests and many tabs: one refresh for all of them. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { answerOf, ask, askMany, begin, signedOutEvents, skip, stage, statuses } from "./support/stage.js";

const TRIALS = Number(process.env.TRIALS ?? 40);
const TABS = 6;
const REQUESTS = 5;

const all = (count, status = 200) => Array.from({ length: count }, () => status);

test(`six tabs whose tokens expire at once make one refresh, in each of ${TRIALS} trials`, { skip }, async (t) => {
  const { server, signedIn } = await stage(t, { rotation: "strict" });
  const tabs = await signedIn(TABS);
  const refreshes = [];
  for (let trial = 0; trial < TRIALS; trial += 1) {
    const { refreshes: before } = await server.expire();
    const answers = await Promise.all(tabs.map((tab) => askMany(tab, REQUESTS)));
    assert.deepEqual(statuses(answers.flat()), all(TABS * REQUESTS), `trial ${trial}`);
    refreshes.push((await server.refreshes()) - before);
  }
  assert.deepEqual(refreshes, all(TRIALS, 1));
  assert.equal(await server.reuses(), 0);
});

test("fifty requests at once in one tab make one refresh", { skip }, async (t) => {
  const { server, front, signedIn } = await stage(t, { rotation: "strict" });
  const [tab] = await signedIn();
  await server.expire();
  assert.deepEqual(statuses(await askMany(tab, 50)), all(50));
  assert.equal(await server.refreshes(), 1);
  assert.ok(front.of("/x").length <= 100, "each was sent at most twice");
});

test("a 401 that arrives late is answered by sending again, not by another refresh", { skip }, async (t) => {
  const { server, front, signedIn } = await stage(t, { rotation: "strict" });
  const [tab] = await signedIn();
  await server.expire();
  await begin(tab, "/late");
  await front.awaitLate(1);
  assert.equal((await ask(tab, "/x")).status, 200);
  front.releaseLate();
  assert.equal((await answerOf(tab)).status, 200);
  assert.equal(await server.refreshes(), 1);
  assert.equal(front.of("/late").length, 2);
});

test("a route that always answers 401 costs one refresh, and its answers reach the page", { skip }, async (t) => {
  const { server, front, signedIn } = await stage(t);
  const [tab] = await signedIn();
  for (let round = 0; round < 5; round += 1) assert.equal((await ask(tab, "/always-401")).status, 401);
  assert.equal(await server.refreshes(), 1);
  assert.ok(front.of("/always-401").length <= 6, "only the first was sent twice");
  assert.equal((await ask(tab, "/x")).status, 200);
  assert.deepEqual(await signedOutEvents(tab), []);
});

/** One tab refreshes and is held at the server, two others wait for it: what if it goes away now? */
async function withoutTheLeader(t, leave) {
  const { server, signedIn, tab: open } = await stage(t);
  const [leader, ...others] = await signedIn(3);
  await server.expire();
  await server.hold();
  await begin(leader, "/x");
  await server.awaitHeld();
  for (const other of others) await begin(other, "/x");
  await leave(leader);
  // The server has not answered yet, so the next tab asks with the same refresh token.
  await server.awaitHeld(2);
  await server.release();
  const last = leader.isClosed() ? await open() : leader;
  for (const other of others) assert.equal((await answerOf(other)).status, 200);
  await server.expire();
  for (const tab of [...others, last]) {
    assert.equal((await ask(tab, "/x")).status, 200);
    assert.deepEqual(await signedOutEvents(tab), []);
  }
  assert.equal(await server.reuses(), 0);
}

test("a tab that is closed in mid-refresh signs nobody out, and the others get their answers", { skip }, (t) =>
  withoutTheLeader(t, (leader) => leader.close()));

test("a tab that is reloaded in mid-refresh signs nobody out, and the others get their answers", { skip }, (t) =>
  withoutTheLeader(t, async (leader) => {
    await leader.reload();
    await leader.waitForFunction(() => window.isReady);
  }));

test("a tab that crashes in mid-refresh signs nobody out, and the others get their answers", { skip }, (t) =>
  withoutTheLeader(t, async (leader) => {
    const crashed = leader.waitForEvent("crash");
    await leader.goto("chrome://crash").catch(() => "it does not arrive");
    await crashed;
    await leader.close();
  }));
