// @ts-check
/** The cases of conformance/answers: what an answer to a refresh means. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { named } from "../../driver/dialect-json.js";
import { BadCase, body, cases, files } from "../../driver/loading.js";
import { said } from "../../driver/meanings.js";
import { parseBody } from "../../src/decide/answers.js";
import { speechOf } from "../../src/decide/dialect.js";
import { bodySpeech } from "../../src/decide/body_speech.js";
import { readRefresh } from "../../src/decide/tokens.js";

const FROM_THE_SERVER = ["a2", "r2", "r 2", "X-Admin", "<html>", "invalid_grant"];

const answers = files("answers").flatMap((path) =>
  cases(path, (each) => ({
    path,
    dialect: named(each),
    sessionId: each.take("session_id", "string", null),
    answer: each.inner("answer", (answer) => {
      const headers = answer.take("headers", "object", {});
      if (Object.keys(headers).some((name) => name !== name.toLowerCase())) {
        throw new BadCase(`${each.where}: names of headers are in lower case`);
      }
      return { status: answer.take("status", "integer"), headers, bytes: body(answer) };
    }),
    expected: each.inner("expect", said),
  })),
);

/** Evertoken's own speech is written out beside its document, and says the same. @param {import("../../src/decide/dialect.js").Dialect} dialect */
const speeches = (dialect) =>
  dialect.name === "evertoken" ? { "": speechOf(dialect), " (written out)": bodySpeech } : { "": speechOf(dialect) };

for (const [how, speech, { name, sessionId, answer, expected }] of answers.flatMap((each) =>
  Object.entries(speeches(each.dialect)).map(([how, speech]) => /** @type {const} */ ([how, speech, each])),
)) {
  test(`${name}${how}`, () => {
    const document = parseBody(answer.bytes);
    const found = readRefresh(speech, answer.status, answer.headers["retry-after"], document, sessionId);
    // What stands there for a page is the CSRF token, of which the cases do not speak.
    if (speech.isCookie && found.tokens) found.tokens.refresh_token = null;
    if (!found.unusable) return assert.deepEqual(found, expected);
    const { why, ...unusable } = found.unusable;
    assert.deepEqual({ unusable }, expected);
    // It is shown to people, so it is in words of our own.
    assert.ok(why && why.length < 160, why);
    assert.ok(!FROM_THE_SERVER.some((word) => why.includes(word)), why);
  });
}

test("a name occurs once in the folder", () => {
  assert.equal(new Set(answers.map((each) => each.name)).size, answers.length);
});
