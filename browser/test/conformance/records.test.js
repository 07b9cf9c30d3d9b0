// @ts-check
/** The cases of conformance/records: documents of a token store, and what they make of a refresh. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { BadCase, cases, files, text } from "../../driver/loading.js";
import { said } from "../../driver/meanings.js";
import { why } from "../../src/decide/damaged.js";
import { parse } from "../../src/decide/record.js";
import { judgeStored, render, successor, tombstone } from "../../src/decide/succession.js";

/** @typedef {import("../../driver/loading.js").Members} Members */
/** @typedef {import("../../src/decide/record.js").Record} Record */
/** @typedef {import("../../src/decide/record.js").Own} Own */

const REFUSED = ["not_json", "foreign", "later_format", "no_token", "member"];

/** @param {Members} members @returns {Record} */
const readRecord = (members) => ({
  server: members.take("server", "string"),
  version: members.take("version", "integer"),
  access_token: members.take("access_token", "string", null),
  refresh_token: members.take("refresh_token", "string", null),
  obtained_at: members.take("obtained_at", "number", 0),
  expires_at: members.take("expires_at", "number", null),
  refresh_expires_at: members.take("refresh_expires_at", "number", null),
  session_id: members.take("session_id", "string", null),
  account: members.take("account", "string", null),
  ended: members.take("ended", "string", null),
});

/** @param {Members} each */
function readExpected(each) {
  if (each.has("record")) return { record: each.inner("record", readRecord) };
  const refused = each.take("refused", "string");
  if (!REFUSED.includes(refused)) throw new BadCase(`${each.where}: does not know ${refused}`);
  return refused === "member" ? { refused, member: each.take("member", "string") } : { refused };
}

const documents = cases("records/documents.json", (each) => ({
  document: each.has("json")
    ? JSON.stringify(each.takeAny("json"))
    : text(each.take("document", ["string", "list"]), each.where),
  expected: readExpected(each),
}));

for (const { name, document, expected } of documents) {
  test(name, () => {
    const record = parse(document);
    assert.deepEqual(record ? { record } : why(document), expected);
    if (record) assert.deepEqual(parse(render(record)), record);
  });
}

/** @param {Members} own @returns {Required<Own>} */
const readOwn = (own) => ({
  session_id: own.take("session_id", "string", null),
  account: own.take("account", "string", null),
  access_token: own.take("access_token", "string", null),
  is_signed_in: own.take("is_signed_in", "boolean", false),
  wants_new: own.take("wants_new", "boolean", false),
});

/** @param {Members} expect */
function readOutcome(expect) {
  const kind = expect.only("renewed", "ended");
  return expect.inner(kind, (inner) =>
    kind === "ended"
      ? { ended: { reason: inner.take("reason", "string"), is_news: inner.take("is_news", "boolean") } }
      : {
          renewed: {
            access_token: inner.take("access_token", "string"),
            expires_at: inner.take("expires_at", "number", null),
            lifetime_seconds: inner.take("lifetime_seconds", "number", null),
            session_id: inner.take("session_id", "string", null),
            account: inner.take("account", "string", null),
            is_renewable: inner.take("is_renewable", "boolean", true),
            is_fetched: false,
          },
        },
  );
}

/** @param {Members} each */
function readJudgement(each) {
  if (each.isObject("expect")) return each.inner("expect", readOutcome);
  const word = each.take("expect", "string");
  if (word !== "refresh" && word !== "failed") throw new BadCase(`${each.where}: does not know ${word}`);
  return word;
}

const judgings = cases("records/judging.json", (each) => ({
  stored: each.isNull("stored") ? each.takeAny("stored") : each.inner("stored", readRecord),
  own: each.inner("own", readOwn),
  wall: each.take("wall", "number"),
  expected: readJudgement(each),
}));

for (const { name, stored, own, wall, expected } of judgings) {
  test(name, () => {
    const found = judgeStored(stored, own, wall);
    assert.deepEqual(found === null ? "refresh" : "failed" in found ? "failed" : found, expected);
  });
}

const successions = cases("records/successors.json", (each) => ({
  record: each.inner("record", readRecord),
  meant: each.inner("said", said),
  sentAt: each.take("sent_at", "number"),
  expected: each.inner("expect", readRecord),
}));

for (const { name, record, meant, sentAt, expected } of successions) {
  test(name, () => {
    assert.ok(!("unusable" in meant), "nothing follows what is unusable");
    const found = "over" in meant ? tombstone(record, meant.over) : successor(record, meant.tokens, sentAt);
    assert.deepEqual(found, expected);
    assert.deepEqual(parse(render(found)), found);
  });
}

test("no file of the folder is left out, and no name occurs twice", () => {
  assert.deepEqual(files("records"), ["records/documents.json", "records/judging.json", "records/successors.json"]);
  const names = [documents, judgings, successions].flat().map((each) => each.name);
  assert.equal(new Set(names).size, names.length);
});
