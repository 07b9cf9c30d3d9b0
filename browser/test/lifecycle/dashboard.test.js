/** A dashboard on a wall, which nobody touches for weeks. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { ask, signedOutEvents, signIn, statuses, stored } from "../chromium/support/stage.js";
import { clocksOn, polls, skip } from "./support/clocks.js";

const HOUR = 3600;
const DAY = 24 * HOUR;

/** So many tiles in a tab, each with a poll of its own. */
const tiles = (tab, count, everySeconds) =>
  tab.evaluate(
    ([many, seconds]) => void Array.from({ length: many }, (_, tile) => poll(`/tile/${tile}`, seconds * 1000)),
    [count, everySeconds],
  );

test("a dashboard that polls stays signed in for four weeks", { skip }, async (t) => {
  // Shorter than the four weeks by far: only being used keeps the session.
  const { server, open, passes } = await clocksOn(t, { rotation: "strict", idle_seconds: DAY });
  const tabs = [await open(), await open()];
  assert.equal(await signIn(tabs[0]), null);
  for (const tab of tabs) await tiles(tab, 3, 60);
  const steps = 2 * 28;
  for (let step = 1; step <= steps; step += 1) {
    await passes(12 * HOUR);
    for (const tab of tabs) await polls(tab, 3 * step);
  }
  for (const tab of tabs) {
    const polled = await polls(tab, 3 * steps);
    assert.deepEqual(statuses(polled), Array(3 * steps).fill(200));
    assert.deepEqual(await signedOutEvents(tab), []);
  }
  assert.equal(await server.refreshes(), steps, "one after each step, for all tiles of both tabs");
  assert.equal(await server.reuses(), 0);
});

test("a dashboard whose tokens live for fifteen seconds polls without a failure", { skip }, async (t) => {
  const { server, open, passes } = await clocksOn(t, { rotation: "strict", access_seconds: 15 });
  const tab = await open();
  assert.equal(await signIn(tab), null);
  await tiles(tab, 4, 5);
  const steps = 60;
  for (let step = 1; step <= steps; step += 1) {
    await passes(5);
    await polls(tab, 4 * step);
  }
  assert.deepEqual(statuses(await polls(tab, 4 * steps)), Array(4 * steps).fill(200));
  // Five minutes; each token serves twelve seconds at least.
  const made = await server.refreshes();
  assert.ok(made >= 20 && made <= 30, `${made} refreshes`);
  assert.equal(await server.reuses(), 0);
});

test("a dashboard whose session has ended sends nothing more, however long it polls", { skip }, async (t) => {
  const { server, front, open, passes } = await clocksOn(t, { idle_seconds: DAY });
  const tab = await open();
  assert.equal(await signIn(tab), null);
  assert.equal((await ask(tab, "/warm")).status, 200);
  // The machine was off for longer than the session lives.
  await passes(2 * DAY);
  await tab.waitForFunction(() => events.length > 0, null, { timeout: 5000, polling: 20 });
  await tiles(tab, 4, 60);
  await passes(60);
  assert.deepEqual(statuses(await polls(tab, 4)), Array(4).fill("signed_out"));
  const sent = front.seen.length;
  for (let step = 2; step <= 30; step += 1) {
    await passes(HOUR);
    await polls(tab, 4 * step);
  }
  assert.deepEqual(statuses(await polls(tab, 120)), Array(120).fill("signed_out"));
  assert.equal(front.seen.length, sent);
  assert.deepEqual(await signedOutEvents(tab), ["expired_idle"]);
  assert.ok(JSON.parse(await stored(tab)).refresh_token === null, "the dead token is not kept");
});
