// @ts-check
/** Streams of server-sent events, byte by byte: what the HTML standard makes of them. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { EventStreamParser } from "../../src/streaming/event_stream.js";

/** @param {string | Uint8Array} text */
const bytes = (text) => (typeof text === "string" ? new TextEncoder().encode(text) : text);

/** The events of a stream, with what stands after them. @param {(string | Uint8Array)[]} chunks */
function read(...chunks) {
  const parser = new EventStreamParser();
  const events = chunks.flatMap((chunk) => parser.feed(bytes(chunk)));
  return { events, lastEventId: parser.lastEventId, retryMs: parser.retryMs };
}

/** @param {(string | Uint8Array)[]} chunks */
const data = (...chunks) => read(...chunks).events.map((event) => event.data);

/** @param {string} data @param {string} [type] @param {string} [lastEventId] */
const event = (data, type = "message", lastEventId = "") => ({ type, data, lastEventId });

test("an event is what stands before an empty line, its data lines joined", () => {
  assert.deepEqual(read("data: YHOO\ndata: +2\ndata: 10\n\n").events, [event("YHOO\n+2\n10")]);
});

test("the standard's example of four blocks gives two events and the id of the third", () => {
  const { events, lastEventId } = read(
    ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n",
  );
  assert.deepEqual(events, [event("first event", "message", "1"), event("second event")]);
  assert.equal(lastEventId, "", "the third was not complete");
});

test("data without a value is an event with empty data, and two of them are one line feed", () => {
  assert.deepEqual(data("data\n\ndata\ndata\n\ndata:"), ["", "\n"]);
});

test("one space after the colon is dropped, a second one is kept", () => {
  assert.deepEqual(data("data:test\n\ndata: test\n\ndata:  test\n\n"), ["test", "test", " test"]);
});

test("lines may end with CR, LF or both, and an event does not wait for the LF after its CR", () => {
  assert.deepEqual(data("data: a\r\rdata: b\r\n\r\ndata: c\n\ndata: d\r\n\rdata: e\n\r\n"), ["a", "b", "c", "d", "e"]);
  const parser = new EventStreamParser();
  assert.deepEqual(parser.feed(bytes("data: a\r\n\r")), [event("a")]);
  assert.deepEqual(parser.feed(bytes("\ndata: b\r\n")), []);
  assert.deepEqual(parser.feed(bytes("\r\n")), [event("b")]);
});

test("a type holds for one event, an id until there is another, also without data", () => {
  assert.deepEqual(read("event: add\nid: 7\ndata: 1\n\ndata: 2\n\n").events, [event("1", "add", "7"), event("2", "message", "7")]);
  assert.deepEqual(read("event: add\nid: 8\n\ndata: 3\n\n").events, [event("3", "message", "8")]);
});

test("an id with a NUL in it is ignored, and an empty one clears it", () => {
  assert.equal(read("id: 1\n\nid: 2\0\n\n").lastEventId, "1");
  assert.equal(read("id: 1\n\nid\n\n").lastEventId, "");
});

test("retry is a whole number or nothing", () => {
  assert.equal(read("retry: 1500\n").retryMs, 1500);
  for (const bad of ["1.5", "-1", "1e3", "٣", "", " 7"]) assert.equal(read(`retry: ${bad}\n`).retryMs, null, bad);
});

test("comments and unknown fields are passed over, and names are compared as they stand", () => {
  assert.deepEqual(data(": data: no\nDATA: no\n data: no\ndata : no\nfoo\ndata: yes\n\n"), ["yes"]);
});

test("a byte order mark is dropped at the start, and nowhere else", () => {
  const mark = new Uint8Array([0xef, 0xbb, 0xbf]);
  assert.deepEqual(data(mark, "data: a\n\n"), ["a"]);
  assert.deepEqual(data(mark, mark, "data: a\n\n"), []);
  assert.deepEqual(data("data: a\n\n", mark, "data: b\n\n"), ["a"]);
});

test("bytes that are no UTF-8 become replacement characters, and the stream goes on", () => {
  assert.deepEqual(data(new Uint8Array([...bytes("data: "), 0xff, ...bytes("\n\ndata: b\n\n")])), ["\ufffd", "b"]);
});

test("a stream means the same in whatever pieces it arrives", () => {
  const stream = bytes("\ufeffid: é1\r\nevent: grüße\r\ndata: 晚上好 🌙\r\ndata:\r\rdata: zwei\nid: 2\n\n: still\nretry: 9\n\n");
  const whole = read(stream);
  assert.equal(whole.events.length, 2);
  assert.equal(whole.events[0].data, "晚上好 🌙\n");
  for (let first = 0; first <= stream.length; first += 1) {
    for (let second = first; second <= stream.length; second += 1) {
      const pieces = [stream.slice(0, first), stream.slice(first, second), stream.slice(second)];
      assert.deepEqual(read(...pieces), whole, `cut at ${first} and ${second}`);
    }
  }
  assert.deepEqual(read(...Array.from(stream, (byte) => new Uint8Array([byte]))), whole, "byte by byte");
});

test("an event without end is refused before it fills the memory", () => {
  const parser = new EventStreamParser();
  const chunk = bytes("x".repeat(1024 * 1024));
  assert.throws(() => {
    for (let round = 0; round < 12; round += 1) parser.feed(chunk);
  }, RangeError);
  const lines = new EventStreamParser();
  const line = bytes(`data: ${"x".repeat(1024 * 1024)}\n`);
  assert.throws(() => {
    for (let round = 0; round < 12; round += 1) lines.feed(line);
  }, RangeError);
});

test("a stream is read on from the id where it was left", () => {
  const parser = new EventStreamParser("41");
  assert.equal(parser.lastEventId, "41");
  assert.deepEqual(parser.feed(bytes("data: a\n\nid: 42\ndata: b\n\n")), [event("a", "message", "41"), event("b", "message", "42")]);
});
