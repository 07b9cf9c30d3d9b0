// @ts-check
/** That a case with a slip of the pen fails instead of passing for another case. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { parse } from "../../driver/dialect-json.js";
import { BadCase, document, text } from "../../driver/loading.js";
import { storiesIn } from "../../driver/stories.js";

const send = { event: "before_sending", expect: { step: "wait" } };
/** @param {unknown[]} steps @param {object} more */
const case_ = (steps, more = {}) => ({ name: "a_case", sentence: "It is so.", steps, ...more });
/** @param {object} step */
const story = (step) => ({ about: "A.", cases: [case_([step])] });

const slips = {
  "an unknown member of a case": { about: "A.", cases: [case_([send], { tags: [] })] },
  "an unknown argument": story({ ...send, is_repeatible: false }),
  "an unknown event": story({ ...send, event: "before_send" }),
  "an unknown step": story({ ...send, expect: { step: "waits" } }),
  "a member too many in what is expected": story({ ...send, expect: { step: "wait", generation: 1 } }),
  "a member too few in what is expected": story({ ...send, expect: { step: "send" } }),
  "one clock": story({ ...send, at: { wall: 1 } }),
  "a third clock": story({ ...send, at: { wall: 1, monotonic: 2, utc: 3 } }),
  "true for a moment": story({ ...send, at: true }),
  "nothing expected": story({ event: "before_sending" }),
  "an argument of another event": story({ ...send, event: "on_demand", generation: 1 }),
  "an unknown member of an end": story({ event: "flight_ended", outcome: { ended: { reason: "x", is_new: true } } }),
  "a number for a flag": story({ event: "flight_ended", outcome: { renewed: { access_token: "a", is_fetched: 1 } } }),
  "a start that nobody asked for": story({ event: "flight_started" }),
  "two outcomes": story({ event: "flight_ended", outcome: { failed: {}, ended: { reason: "x" } } }),
  "an unknown member of a failure": story({ event: "flight_ended", outcome: { failed: { retry_after: 3 } } }),
  "an end without a reason": story({ event: "flight_ended", outcome: { ended: {} } }),
  "a renewal without a token": story({ event: "flight_ended", outcome: { renewed: {} } }),
  "what no event decides": story({ event: "flight_ended", outcome: { failed: {} }, expect: { step: "wait" } }),
  "an unknown member of the file": { ...story(send), more: [] },
  "no about": { cases: [] },
  "a name twice": { about: "A.", cases: [case_([send]), case_([send])] },
  "a name not in snake_case": { about: "A.", cases: [case_([send], { name: "A case" })] },
  "no sentence": { about: "A.", cases: [case_([send], { sentence: "no end" })] },
};

for (const [what, file] of Object.entries(slips)) {
  test(`a story with ${what} is refused`, () => {
    assert.throws(() => document(JSON.stringify(file), "slip", storiesIn), BadCase);
  });
}

test("a story without a slip is taken", () => {
  assert.equal(document(JSON.stringify(story(send)), "fine", storiesIn).length, 1);
});

test("a file with a member twice is refused", () => {
  assert.throws(() => document('{"about": "A.", "cases": [], "a\\u0062out": "B."}', "slip", storiesIn), BadCase);
  assert.throws(() => document('{"about": "A.", "n": NaN}', "slip", storiesIn), SyntaxError);
});

const dialects = [
  { nam: "x" },
  { access_token: { name: "x" } },
  { tokens: { access_token: null } },
  { refresh: {} },
  { refresh: { url: "/x", encoding: "xml" } },
  { refresh: { url: "/x", token: { kind: "cookie" } } },
  { expired: { status: 401 } },
  { expired: [{ status: "401" }] },
  { expired: [{ status: 401, body: { "/code": 1 } }] },
  { expired: [{ body: {} }] },
  { refresh_is_repeatable: 1 },
  { lifetime_seconds: true },
];

for (const dialect of dialects) {
  test(`the dialect ${JSON.stringify(dialect)} is refused`, () => {
    assert.throws(() => parse(dialect, "slip"), BadCase);
  });
}

test("a text may be given in parts", () => {
  assert.equal(text(["a", { repeat: "bc", times: 2 }], "here"), "abcbc");
  assert.throws(() => text([{ repeat: "b", time: 2 }], "here"), BadCase);
});
