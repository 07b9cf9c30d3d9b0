// @ts-check
/** The cases of conformance/dialects: what an answer says of the access token, and JSON Pointers. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { KNOWN, WRITTEN, named, parse } from "../../driver/dialect-json.js";
import { BadCase, body, cases, files, text } from "../../driver/loading.js";
import { EVERTOKEN, complete, find, parseBody, reasonIn, verdict, wantsBody } from "../../src/decide/dialect.js";

/** @typedef {import("../../driver/loading.js").Members} Members */

const NO_POINTER = { name: "TypeError", message: /is not a JSON Pointer/ };

const verdicts = cases("dialects/verdicts.json", (each) => ({
  dialect: named(each),
  answer: each.inner("answer", (answer) => {
    const length = answer.take("content_length", ["string", "list"], null);
    return {
      status: answer.take("status", "integer"),
      type: answer.take("content_type", "string", null),
      length: length === null ? null : text(length, answer.where),
      bytes: body(answer),
    };
  }),
  expected: each.inner("expect", (expect) => {
    const said = expect.take("verdict", "string");
    if (!["accepted", "expired", "over"].includes(said)) throw new BadCase(`${each.where}: no verdict ${said}`);
    const reason = said === "over" ? { reason: expect.take("reason", "string") } : {};
    return { verdict: said, ...reason, readsBody: expect.take("reads_body", "boolean") };
  }),
}));

for (const { name, dialect, answer, expected } of verdicts) {
  test(name, () => {
    const readsBody = wantsBody(dialect, answer.status, answer.type, answer.length);
    const document = readsBody ? parseBody(answer.bytes) : undefined;
    const said = verdict(dialect, answer.status, document);
    const reason = said === "over" ? { reason: reasonIn(dialect, document) } : {};
    assert.deepEqual({ verdict: said, ...reason, readsBody }, expected);
  });
}

const pointers = cases("dialects/pointers.json", (each) => ({
  document: each.has("document") ? each.takeAny("document") : null,
  finds: each.take("finds", "object", {}),
  missing: /** @type {string[]} */ (each.take("missing", "list", [])),
  invalid: /** @type {string[]} */ (each.take("invalid", "list", [])),
}));

for (const { name, document, finds, missing, invalid } of pointers) {
  test(name, () => {
    for (const [pointer, value] of Object.entries(finds)) assert.deepEqual(find(document, pointer), value, pointer);
    for (const pointer of missing) assert.equal(find(document, pointer), undefined, pointer);
    for (const pointer of invalid) assert.throws(() => find(document, pointer), NO_POINTER, pointer);
  });
}

for (const pointer of pointers.flatMap(({ invalid }) => invalid)) {
  test(`a dialect with ${pointer} for a pointer is refused when it is made`, () => {
    const matches = [{ status: 400, body: { "/code": [1], [pointer]: [1] } }];
    for (const place of ["expired", "over", "refresh_over", "stale"]) {
      assert.throws(() => complete({ [place]: matches }), NO_POINTER, place);
    }
    for (const place of Object.keys(KNOWN.default.tokens)) {
      assert.throws(() => complete({ tokens: { [place]: pointer } }), NO_POINTER, place);
    }
    assert.throws(() => complete({ reason: pointer }), NO_POINTER);
  });
}

test("the known dialect of evertoken is ours", () => {
  assert.deepEqual(KNOWN.evertoken, complete(EVERTOKEN));
});

test("the default dialect says every member", () => {
  assert.deepEqual(complete({}), WRITTEN.default);
});

test("every dialect is the same after a round trip", () => {
  for (const [name, dialect] of Object.entries(KNOWN)) {
    assert.deepEqual(parse(JSON.parse(JSON.stringify(dialect)), name), dialect);
  }
});

test("no file of the folder is left out", () => {
  assert.deepEqual(files("dialects"), ["dialects/known.json", "dialects/pointers.json", "dialects/verdicts.json"]);
});
