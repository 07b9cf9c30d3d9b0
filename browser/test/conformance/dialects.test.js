// @ts-check
/** The cases of conformance/dialects: what an answer says of the access token, and JSON Pointers. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { KNOWN, WRITTEN, named, parse } from "../../driver/dialect-json.js";
import { BadCase, body, cases, files, text } from "../../driver/loading.js";
import { parseBody, refusal, wantsBody } from "../../src/decide/answers.js";
import { complete, read, speechOf } from "../../src/decide/dialect.js";
import { find } from "../../src/decide/pointer.js";
import { bodySpeech } from "../../src/decide/body_speech.js";
import { cookieSpeech } from "../../src/decide/speech.js";
import { DIALECTS } from "../../src/dialects.js";

/** @typedef {import("../../driver/loading.js").Members} Members */

const NO_POINTER = { name: "TypeError", message: /is not a JSON Pointer/ };

const verdicts = ["dialects/verdicts.json", "dialects/builtin.json"].flatMap((path) => cases(path, (each) => ({
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
})));

for (const { name, dialect, answer, expected } of verdicts) {
  const speeches = dialect.name === "evertoken" ? [speechOf(dialect), bodySpeech, cookieSpeech] : [speechOf(dialect)];
  test(name, () => {
    for (const speech of speeches) {
      const readsBody = wantsBody(speech, answer.status, answer.type, answer.length);
      const found = refusal(speech, answer.status, readsBody ? parseBody(answer.bytes) : undefined);
      const said = !found ? { verdict: "accepted" } : found.over === null ? { verdict: "expired" } : { verdict: "over", reason: found.over };
      assert.deepEqual({ ...said, readsBody }, expected);
    }
  });
}

const optingOut = cases("dialects/opting_out.json", (each) => ({
  dialect: named(each),
  headers: each.take("headers", "object"),
  expected: each.inner("expect", (expect) => expect.take("opts_out", "boolean")),
}));

for (const { name, dialect, headers, expected } of optingOut) {
  test(name, () => assert.equal(speechOf(dialect).optsOut?.(new Headers(headers)), expected));
}

const documents = cases("dialects/documents.json", (each) => ({
  document: each.take("document", "object"),
  refused: /** @type {?string} */ (each.take("refused", ["string", "null"])),
}));

for (const { name, document, refused } of documents) {
  test(name, () => {
    if (refused === null) return void read(document);
    assert.throws(() => read(document), (/** @type {any} */ error) => {
      assert.deepEqual([error.name, error.field], ["TypeError", refused], error.message);
      return true;
    });
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
      assert.throws(() => read({ [place]: matches }), NO_POINTER, place);
    }
    for (const place of Object.keys(KNOWN.default.tokens)) {
      assert.throws(() => read({ tokens: { [place]: pointer } }), NO_POINTER, place);
    }
    assert.throws(() => read({ reason: pointer }), NO_POINTER);
  });
}

test("the known dialect of evertoken is ours", () => {
  assert.deepEqual(KNOWN.evertoken, complete(DIALECTS.evertoken));
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
  const names = ["builtin", "documents", "known", "opting_out", "pointers", "verdicts"];
  assert.deepEqual(files("dialects"), names.map((name) => `dialects/${name}.json`));
});
