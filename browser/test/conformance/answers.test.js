// @ts-check
/** The cases of conformance/answers: what an answer to a refresh means. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { named } from "../../driver/dialect-json.js";
import { BadCase, body, cases, files } from "../../driver/loading.js";
import { said } from "../../driver/meanings.js";
import { readRefresh } from "../../src/decide/answers.js";
import { parseBody } from "../../src/decide/dialect.js";

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

for (const { name, dialect, sessionId, answer, expected } of answers) {
  test(name, () => {
    const document = parseBody(answer.bytes);
    const found = readRefresh(dialect, answer.status, answer.headers["retry-after"], document, sessionId);
    if (!("unusable" in found)) return assert.deepEqual(found, expected);
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
