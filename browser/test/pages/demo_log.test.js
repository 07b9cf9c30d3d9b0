/** The demo's log: what the timeline and the story say, from the events that tabs tell each other. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Log } from "../../../src/evertoken/web/static/demo/log.js";

/** A log of these events: [at, tab, kind, more]. */
function logOf(...events) {
  const log = new Log();
  for (const [at, tab, kind, more = {}] of events) log.add({ at, tab, kind, ...more });
  return log;
}

/** A call that is refused, waits for a refresh and is sent again. */
const refusedCall = (tab, call, { sent = 0, refused = 10, again = 60 } = {}) => [
  [sent, tab, "begun", { call }],
  [sent, tab, "sent", { call, attempt: 1 }],
  [refused, tab, "answered", { call, attempt: 1, status: 401 }],
  [again, tab, "sent", { call, attempt: 2 }],
  [again + 5, tab, "answered", { call, attempt: 2, status: 200 }],
  [again + 6, tab, "settled", { call, outcome: "good" }],
];
const refresh = (tab, id, from, to, status = 200) => [
  [from, tab, "refresh", { id }],
  [to, tab, "refreshed", { id, status }],
];
const inOrder = (...groups) => logOf(...groups.flat().sort(([one], [other]) => one - other));
const LATER = 10_000;

test("refused calls of all tabs, and those that had not been sent, are counted to the one refresh they waited for", () => {
  const log = inOrder(
    refusedCall(1, "a"), refusedCall(2, "b", { refused: 20 }), refresh(1, 1, 12, 50),
    [[30, 2, "begun", { call: "c" }], [61, 2, "sent", { call: "c", attempt: 1 }],
      [66, 2, "answered", { call: "c", attempt: 1, status: 200 }], [67, 2, "settled", { call: "c", outcome: "good" }]],
  );
  assert.deepEqual(log.counters, { requests: 3, refused: 2, refreshes: 1, again: 2, failed: 0 });
  assert.deepEqual(log.waits().map(({ tab, from, to }) => [tab, from, to]), [[1, 10, 60], [2, 20, 60], [2, 30, 61]]);
  const [{ refreshes, ...renewal }, ...others] = log.renewals(LATER);
  assert.deepEqual(others, []);
  assert.equal(refreshes.length, 1);
  assert.deepEqual(renewal, { at: 12, tab: 1, refused: 2, waited: 3, again: 2, failed: 0 });
});

test("a call that was refused after a refresh had ended, for a token of before, is counted to it without a wait", () => {
  const log = inOrder(refusedCall(1, "a"), refresh(1, 1, 12, 50), refusedCall(2, "b", { sent: 40, refused: 55, again: 56 }));
  const [{ refused, waited, again }] = log.renewals(LATER);
  assert.deepEqual({ refused, waited, again }, { refused: 2, waited: 1, again: 2 });
});

test("a refusal that comes after a renewal belongs to the next one", () => {
  const log = inOrder(
    refresh(1, 1, 0, 10), refusedCall(1, "a", { sent: 400, refused: 410, again: 460 }), refresh(1, 2, 412, 450, 401),
  );
  assert.deepEqual(log.renewals(LATER).map(({ refused }) => refused), [0, 1]);
});

test("a request that is sent at once has waited for nothing, though a refresh is under way", () => {
  const log = inOrder(refresh(1, 1, 0, 100), [[50, 1, "begun", { call: "a" }], [50.2, 1, "sent", { call: "a", attempt: 1 }]]);
  assert.deepEqual(log.waits(), []);
});

test("a refresh without an answer and the one that follows are one renewal, which is not over before the second is", () => {
  const log = inOrder(refresh(1, 1, 0, 20, 0), [[220, 1, "refresh", { id: 2 }]]);
  assert.deepEqual(log.renewals(LATER), []);
  log.add({ at: 240, tab: 1, kind: "refreshed", id: 2, status: 200 });
  assert.deepEqual(log.renewals(LATER).map(({ refreshes }) => refreshes.length), [2]);
});

test("what a closed tab had begun holds nothing up, and the numbers of its calls and refreshes may come again", () => {
  const log = inOrder([[0, 1, "begun", { call: "a" }]], [[1, 1, "refresh", { id: 1 }]], [[5, 1, "marked", { mark: "closed" }]]);
  assert.deepEqual(log.waits().map(({ to }) => to), [5]);
  for (const [at, tab, kind, more] of refresh(1, 1, 9000, 9010)) log.add({ at, tab, kind, ...more });
  assert.deepEqual(log.refreshes.map(({ endedAt, status }) => [endedAt, status]), [[5, 0], [9010, 200]]);
});

test("only failures that a user would see are counted as such", () => {
  const outcomes = ["good", "failed", "offline", "signed_out", "left"];
  const log = logOf(...outcomes.flatMap((outcome, at) => [
    [at, 1, "begun", { call: outcome }], [at, 1, "settled", { call: outcome, outcome }],
  ]));
  assert.equal(log.counters.requests, 5);
  assert.equal(log.counters.failed, 1);
});

test("a tab that comes later takes over what has happened, with all that was counted before it was forgotten", () => {
  const elder = inOrder(refusedCall(1, "a"), refresh(1, 1, 12, 50), refusedCall(1, "b", { sent: 5000, refused: 5010, again: 5060 }));
  elder.forget(4000);
  assert.deepEqual([...elder.calls.keys()], ["b"]);
  assert.deepEqual(elder.refreshes, []);
  const younger = new Log();
  younger.takeOver(elder.events, elder.counters);
  assert.deepEqual(younger.counters, { requests: 2, refused: 2, refreshes: 1, again: 2, failed: 0 });
  assert.deepEqual([...younger.calls], [...elder.calls]);
});
