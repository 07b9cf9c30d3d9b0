// @ts-check
/** Server-sent events of a session, over real sockets. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { createSession, memoryStore, SessionError } from "../../src/index.js";
import { openEvents, StreamError } from "../../src/streams.js";
import { Server, turn, within } from "./support/server.js";

/** @typedef {import("../../src/streaming/events.js").EventsOptions} EventsOptions */

/** A server, and a session on it that is signed in. @param {import("node:test").TestContext} t */
async function signedIn(t, username = "ada", lifetimeSeconds = 3600) {
  const server = await Server.start();
  t.after(() => server.stop());
  server.lifetimeSeconds = lifetimeSeconds;
  const session = createSession({ baseURL: server.url, store: memoryStore() });
  t.after(() => session.close());
  await session.login({ username, password: "correct-horse-battery" });
  return { server, session };
}

/**
 * A stream, and what it has said so far.
 * @param {import("node:test").TestContext} t
 * @param {ReturnType<typeof createSession>} session
 * @param {EventsOptions & {url?: string}} [options]
 */
function listen(t, session, { url = "/events", ...options } = {}) {
  /** @type {any[]} */
  const heard = [];
  let changed = () => {};
  const note = (/** @type {any} */ what) => {
    heard.push(what);
    changed();
  };
  const events = openEvents(session, url, {
    onmessage: note,
    onopen: (response) => note(response.status),
    onerror: (error, next) => note({ error, ...next }),
    ...options,
  });
  t.after(() => events.close());
  /** Wait for so many of them. @param {number} count */
  const until = async (count) => {
    const enough = async () => {
      while (heard.length < count) await new Promise((resolve) => (changed = () => resolve(null)));
    };
    await within(enough(), `${count} things to be heard`);
    return heard;
  };
  return { events, heard, until, closed: () => within(events.closed, "the stream to be over") };
}

test("a stream carries the access token in a header, and its events arrive with their types and ids", async (t) => {
  const { server, session } = await signedIn(t);
  const { events, until, closed } = listen(t, session, { headers: { "X-Tile": "7" }, url: "/events?tile=7" });
  const stream = (await server.stream()).accept();
  assert.equal(stream.headers.authorization, "Bearer access-1");
  assert.equal(stream.headers.accept, "text/event-stream");
  assert.equal(stream.headers["x-tile"], "7");
  assert.equal(stream.headers["last-event-id"], undefined);
  stream.send(": hello\n\nid: 1\nevent: add\ndata: 73857293\n\n").send("data: more\n\n");
  assert.deepEqual(await until(3), [
    200,
    { type: "add", data: "73857293", lastEventId: "1" },
    { type: "message", data: "more", lastEventId: "1" },
  ]);
  assert.equal(events.lastEventId, "1");
  events.close();
  assert.equal(await closed(), null);
  await stream.gone();
});

test("a stream that the server ends is opened again where it was left, without a refresh", async (t) => {
  const { server, session } = await signedIn(t);
  const { until } = listen(t, session, { lastEventId: "晚é" });
  const first = (await server.stream()).accept();
  const sent = String(first.headers["last-event-id"]);
  assert.equal(Buffer.from(sent, "latin1").toString(), "晚é", "its bytes are UTF-8");
  first.send("retry: 100\nid: 2\ndata: a\n\n").end();
  const second = (await server.stream()).accept();
  assert.equal(second.headers["last-event-id"], "2");
  second.send("data: b\n\n");
  const [, a, lost, , b] = await until(5);
  second.drop();
  const third = (await server.stream()).accept();
  assert.equal(third.headers["last-event-id"], "2");
  assert.deepEqual([a.data, b.data, b.lastEventId], ["a", "b", "2"]);
  assert.equal(lost.error.code, "stream_lost");
  assert.equal(server.refreshes, 0);
});

test("a stream that is refused with 401 shares one refresh with requests, and goes on where it was left", async (t) => {
  const { server, session } = await signedIn(t);
  const { until } = listen(t, session);
  const first = (await server.stream()).accept().send("retry: 100\nid: 5\ndata: a\n\n");
  await until(2);
  server.expire();
  const release = server.hold();
  first.end();
  const asked = Array.from({ length: 5 }, () => session.fetch("/reports"));
  release();
  for (const answer of await Promise.all(asked)) assert.equal(answer.status, 200);
  const second = (await server.stream()).accept();
  assert.equal(second.headers.authorization, "Bearer access-2");
  assert.equal(second.headers["last-event-id"], "5");
  assert.equal(server.refreshes, 1);

  server.expire();
  second.end();
  const third = (await server.stream()).accept();
  assert.equal(third.headers.authorization, "Bearer access-3", "the stream alone renews as well");
  assert.equal(server.refreshes, 2);
  assert.ok((await until(6)).every((each) => !(each.error instanceof SessionError)));
});

test("while a stream is open its session is renewed before the token ends, though nothing else is sent", async (t) => {
  const { server, session } = await signedIn(t, "ada", 2);
  const { heard } = listen(t, session);
  const renewed = new Promise((resolve) => session.addEventListener("token", resolve, { once: true }));
  const stream = (await server.stream()).accept();
  await within(renewed, "a renewal");
  await within(new Promise((resolve) => session.addEventListener("token", resolve, { once: true })), "another renewal");
  assert.equal(stream.isGone, false);
  assert.ok(server.refreshes >= 2);
  assert.deepEqual(server.refused, [], "no request was refused meanwhile");
  assert.deepEqual(heard, [200]);
});

test("a refresh that fails does not end a stream: it is opened again once there is a token", async (t) => {
  const { server, session } = await signedIn(t);
  const { until, heard } = listen(t, session);
  const first = (await server.stream()).accept().send("retry: 100\ndata: a\n\n");
  await until(2);
  server.expire();
  server.refreshFails = 503;
  first.end();
  const [, , , unavailable] = await until(4);
  assert.equal(unavailable.error.code, "refresh_unavailable");
  assert.ok(unavailable.retryInSeconds >= 1);
  server.refreshFails = null;
  const second = (await server.stream()).accept();
  assert.ok(String(second.headers.authorization).startsWith("Bearer access-"));
  assert.ok(heard.every((each) => each.error?.code !== "signed_out"));
});

test("when the session is over a stream says so once, and is not opened again", async (t) => {
  const { server, session } = await signedIn(t);
  const { until, closed, heard } = listen(t, session);
  const first = (await server.stream()).accept().send("retry: 100\ndata: a\n\n");
  await until(2);
  server.end();
  first.end();
  const why = /** @type {any} */ (await closed());
  assert.ok(why instanceof SessionError);
  assert.equal(why.code, "signed_out");
  const errors = heard.filter((each) => each.error?.code === "signed_out");
  assert.deepEqual(errors.map((each) => each.retryInSeconds), [null]);
  assert.equal(server.streams.all.length, 1);
});

test("a sign-out ends an open stream at once, with its connection", async (t) => {
  const { server, session } = await signedIn(t);
  const { until, closed } = listen(t, session);
  const stream = (await server.stream()).accept();
  await until(1);
  await session.logout();
  const why = /** @type {any} */ (await closed());
  assert.deepEqual([why.code, why.reason], ["signed_out", "signed_out"]);
  await stream.gone();
});

test("nobody signed in: a stream ends with signed_out, and asks for nothing", async (t) => {
  const server = await Server.start();
  t.after(() => server.stop());
  const session = createSession({ baseURL: server.url, store: memoryStore() });
  const { closed } = listen(t, session);
  assert.equal(/** @type {any} */ (await closed()).code, "signed_out");
  assert.deepEqual(server.seen, []);
});

test("an abort ends a stream whether it is open, waits or has not begun", async (t) => {
  const { server, session } = await signedIn(t);
  const before = listen(t, session, { signal: AbortSignal.abort() });
  assert.equal(await before.closed(), null);
  assert.equal(server.streams.all.length, 0);

  const during = new AbortController();
  const open = listen(t, session, { signal: during.signal });
  const stream = (await server.stream()).accept();
  await open.until(1);
  during.abort();
  assert.equal(await open.closed(), null);
  await stream.gone();

  const late = new AbortController();
  const waiting = listen(t, session, { signal: late.signal });
  (await server.stream()).accept().send("retry: 3000000\ndata: a\n\n").end();
  const [, , lost] = await waiting.until(3);
  assert.ok(lost.retryInSeconds >= 3000);
  late.abort();
  assert.equal(await waiting.closed(), null);
  assert.equal(waiting.heard.length, 3, "what was wanted is no error");
});

test("a stream that is closed by its own handlers says nothing more, and waits for nothing", async (t) => {
  const { server, session } = await signedIn(t);
  const first = listen(t, session, { onmessage: ({ data }) => (first.heard.push(data), first.events.close()) });
  (await server.stream()).accept().send("data: a\n\ndata: b\n\n");
  assert.equal(await first.closed(), null);
  assert.deepEqual(first.heard, [200, "a"]);

  const second = listen(t, session, { onerror: () => second.events.close() });
  (await server.stream()).accept().send("retry: 3000000\ndata: a\n\n").end();
  assert.equal(await second.closed(), null);
});

test("when another user signs in on the page, a stream ends instead of going on as somebody else", async (t) => {
  const { server, session } = await signedIn(t);
  const { until, closed } = listen(t, session);
  const stream = (await server.stream()).accept();
  await until(1);
  await session.login({ username: "bob", password: "staple-of-the-stable" });
  const why = /** @type {any} */ (await closed());
  assert.deepEqual([why.code, why.reason], ["signed_out", "signed_in_anew"]);
  await stream.gone();
  assert.equal(server.streams.all.length, 1);
});

test("another user who signs in while a stream waits to be opened again gets none of it", async (t) => {
  const { server, session } = await signedIn(t);
  const { until, closed } = listen(t, session);
  (await server.stream()).accept().send("retry: 3000000\ndata: a\n\n").end();
  await until(3);
  await session.login({ username: "bob", password: "staple-of-the-stable" });
  assert.equal(/** @type {any} */ (await closed()).reason, "signed_in_anew");
  assert.equal(server.streams.all.length, 1);
});

test("the same user who signs in again keeps the streams", async (t) => {
  const { server, session } = await signedIn(t);
  const { until } = listen(t, session);
  const first = (await server.stream()).accept().send("retry: 100\ndata: a\n\n");
  await until(2);
  await session.login({ username: "ada", password: "correct-horse-battery" });
  first.send("data: b\n\n").end();
  const second = (await server.stream()).accept();
  assert.equal(second.headers.authorization, "Bearer access-2");
});

test("204 says that there is no more: the stream is closed, and that is no error", async (t) => {
  const { server, session } = await signedIn(t);
  const { heard, closed } = listen(t, session);
  (await server.stream()).refuse(204);
  assert.equal(await closed(), null);
  assert.deepEqual(heard, []);
});

for (const [what, status, headers] of /** @type {[string, number, Record<string, string>][]} */ ([
  ["404", 404, {}],
  ["403", 403, {}],
  ["a page instead of a stream", 200, { "Content-Type": "text/html" }],
  ["a type that only begins like it", 200, { "Content-Type": "text/event-streams" }],
])) {
  test(`answered with ${what}, a stream is refused for good`, async (t) => {
    const { server, session } = await signedIn(t);
    const { heard, closed } = listen(t, session);
    (await server.stream()).refuse(status, headers);
    const why = /** @type {any} */ (await closed());
    assert.ok(why instanceof StreamError);
    assert.deepEqual([why.code, why.status], ["stream_refused", status]);
    assert.deepEqual(heard, [{ error: why, retryInSeconds: null }]);
    assert.equal(server.refreshes, 0);
  });
}

test("a 401 that a new token does not mend ends a stream after one refresh", async (t) => {
  const { server, session } = await signedIn(t);
  const { closed } = listen(t, session, { url: "/events-for-others" });
  (await server.stream()).refuse(401);
  (await server.stream()).refuse(401);
  const why = /** @type {any} */ (await closed());
  assert.deepEqual([why.code, why.status, server.refreshes], ["stream_refused", 401, 1]);
});

test("a server that is down is asked again with growing pauses, and as late as it wishes", async (t) => {
  const { server, session } = await signedIn(t);
  const { until } = listen(t, session);
  (await server.stream()).accept().send("retry: 100\ndata: a\n\n").end();
  for (let round = 0; round < 3; round += 1) (await server.stream()).refuse(502);
  (await server.stream()).refuse(503, { "Retry-After": "2" });
  const pauses = (await until(7)).slice(2).map((each) => each.retryInSeconds);
  for (const [at, least] of [0.1, 0.2, 0.4, 0.8, 2].entries()) {
    assert.ok(pauses[at] >= least && pauses[at] <= least * 1.5, `${pauses}`);
  }
  // Once it works, the next loss is the first again.
  (await server.stream()).accept().send("data: b\n\n").end();
  const again = (await until(10))[9].retryInSeconds;
  assert.ok(again >= 0.1 && again <= 0.15, `${again}`);
});

test("a server's retry is kept within bounds: no storm at 0, and no longer than an hour", async (t) => {
  const { server, session } = await signedIn(t);
  for (const [retry, least, most] of [[0, 0.1, 0.15], [700, 0.7, 1.05], [99999999999, 3600, 3600]]) {
    const { until, events } = listen(t, session);
    (await server.stream()).accept().send(`retry: ${retry}\ndata: a\n\n`).end();
    const pause = (await until(3))[2].retryInSeconds;
    assert.ok(pause >= least && pause <= most, `${retry}: ${pause}`);
    events.close();
  }
});

test("a stream that falls silent for longer than agreed counts as lost, and is read on where it was", async (t) => {
  const { server, session } = await signedIn(t);
  const { until } = listen(t, session, { silenceSeconds: 0.5 });
  const first = (await server.stream()).accept().send("retry: 100\nid: 3\ndata: a\n\n");
  const [, , lost] = await until(3);
  assert.deepEqual([lost.error.code, lost.error.message], ["stream_lost", "the stream has been silent for 0.5 s"]);
  await first.gone();
  const second = (await server.stream()).accept();
  assert.equal(second.headers["last-event-id"], "3");
});

test("whatever a stream says breaks its silence", async (t) => {
  const { server, session } = await signedIn(t);
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { until, heard } = listen(t, session, { silenceSeconds: 30 });
  const stream = (await server.stream()).accept();
  for (let round = 2; round < 7; round += 1) {
    stream.send(`: still here\n\ndata: ${round}\n\n`);
    await until(round);
    t.mock.timers.tick(29_000);
  }
  await turn();
  assert.equal(heard.length, 6, "more than two minutes, and nothing was lost");
  t.mock.timers.tick(1_000);
  assert.equal((await until(7))[6].error.code, "stream_lost");
});

test("a URL that is not the session's, or that carries a token, is refused loudly", async (t) => {
  const { server, session } = await signedIn(t);
  const token = await session.token();
  for (const url of [
    "https://elsewhere.example/events",
    "/auth/refresh",
    `/events?access_token=x`,
    `/events?token=x`,
    `/events?ticket=${token}`,
    `/events/${token}`,
    server.url.replace("://", "://ada:secret@"),
  ]) {
    /** @type {any} */
    let error;
    assert.throws(() => openEvents(session, url), (thrown) => ((error = thrown), thrown instanceof TypeError), url);
    assert.ok(!error.message.includes(token) && !error.message.includes("secret"), error.message);
  }
  await turn();
  assert.equal(server.streams.all.length, 0);
});
