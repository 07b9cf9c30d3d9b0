// @ts-check
/** WebSockets of a session, in a real browser against a real server. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { heard, skip, stage } from "./support/chromium.js";

/** @typedef {import("./support/chromium.js").Tab} Tab */

/** What every socket of these tests does, and what it is given besides, as source text. */
const open = (/** @type {Tab} */ tab, more = "", url = "/socket") =>
  tab.evaluate(`void (window.line = streams.openSocket(session, ${JSON.stringify(url)}, {
    authenticate: (socket, token) => socket.send("token " + token),
    onopen: () => note("open"),
    onmessage: ({ data }) => note(data),
    onerror: (error, { retryInSeconds }) => note({ ...tell(error), retryInSeconds }),
    ${more}
  }))`);

const closed = (/** @type {Tab} */ tab) =>
  /** @type {Promise<any>} */ (tab.evaluate("line.closed.then((error) => error && tell(error))"));

/** @param {any[]} things */
const errors = (things) => things.filter((each) => each.code).map((each) => each.code);

test("a socket says who it is in its first message, with the token nowhere in the URL", { skip }, async (t) => {
  const { server, signedIn } = await stage(t);
  const tab = await signedIn();
  await open(tab);
  const socket = (await server.socket()).accept();
  assert.deepEqual(await socket.heard(1), ["token access-1"]);
  assert.equal(socket.url, "/socket");
  assert.doesNotMatch(JSON.stringify(socket.headers), /access-1/);
  socket.send("welcome");
  assert.deepEqual(await heard(tab, 2), ["open", "welcome"]);
  await tab.evaluate("line.send('to you')");
  assert.deepEqual(await socket.heard(2), ["token access-1", "to you"]);
  await tab.evaluate("line.close()");
  assert.equal(await closed(tab), null);
  assert.equal(await socket.gone(), 1000);
  assert.match(await tab.evaluate("try { line.send('x') } catch (error) { error.name }"), /InvalidStateError/);
});

test("a socket says who it is in a subprotocol, with the newest token each time", { skip }, async (t) => {
  const { server, signedIn } = await stage(t);
  const tab = await signedIn();
  await open(tab, "authenticate: undefined, protocols: (token) => ['chat.v1', 'bearer.' + token]");
  const first = (await server.socket()).accept();
  assert.deepEqual(first.protocols, ["chat.v1", "bearer.access-1"]);
  await heard(tab, 1);
  await tab.evaluate("session.renew()");
  first.drop();
  const second = (await server.socket()).accept();
  assert.deepEqual(second.protocols, ["chat.v1", "bearer.access-2"]);
});

for (const code of [4401, 1008]) {
  test(`a socket that is closed with ${code} is opened again with a new token, after one refresh for all`, { skip }, async (t) => {
    const { server, signedIn } = await stage(t);
    const tab = await signedIn();
    await open(tab);
    const first = (await server.socket()).accept();
    await first.heard(1);
    server.expire();
    const release = server.hold();
    first.close(code);
    const answers = tab.evaluate("Promise.all([1, 2, 3].map(() => session.fetch('/x').then(({ status }) => status)))");
    release();
    assert.deepEqual(await answers, [200, 200, 200]);
    const second = (await server.socket()).accept();
    assert.deepEqual(await second.heard(1), ["token access-2"]);
    assert.equal(server.refreshes, 1);
    assert.deepEqual(await heard(tab, 2), ["open", "open"], "nothing was lost that somebody has to hear of");
  });
}

test("two sockets that are refused at once make one refresh, and the codes can be named", { skip }, async (t) => {
  const { server, signedIn } = await stage(t);
  const tab = await signedIn();
  await open(tab, "authCodes: [3000]");
  await open(tab, "authCodes: [3000]");
  // A browser begins one handshake after the other.
  const [one, two] = [(await server.socket()).accept(), (await server.socket()).accept()];
  await Promise.all([one.heard(1), two.heard(1)]);
  server.expire();
  one.close(3000);
  two.close(3000);
  for (let round = 0; round < 2; round += 1) {
    assert.deepEqual(await (await server.socket()).accept().heard(1), ["token access-2"]);
  }
  assert.equal(server.refreshes, 1);
});

test("a token that was just renewed and is refused again ends the socket, after one refresh", { skip }, async (t) => {
  const { server, signedIn } = await stage(t);
  const tab = await signedIn();
  await open(tab);
  for (let round = 0; round < 2; round += 1) {
    const socket = (await server.socket()).accept();
    await socket.heard(1);
    socket.close(4401);
  }
  const why = await closed(tab);
  assert.deepEqual([why.name, why.code, why.closeCode], ["StreamError", "stream_refused", 4401]);
  assert.equal(server.refreshes, 1);
});

test("a socket that is lost is opened again without a refresh; one that is done with 1000 is not", { skip }, async (t) => {
  const { server, signedIn } = await stage(t);
  const tab = await signedIn();
  await open(tab);
  const first = (await server.socket()).accept();
  await first.heard(1);
  first.drop();
  const second = (await server.socket()).accept();
  assert.deepEqual(await second.heard(1), ["token access-1"]);
  const [, lost] = await heard(tab, 3);
  assert.deepEqual([lost.code, lost.closeCode], ["stream_lost", 1006]);
  assert.ok(lost.retryInSeconds >= 1 && lost.retryInSeconds <= 1.5);
  second.close(1000);
  assert.equal(await closed(tab), null);
  assert.equal(server.refreshes, 0);
});

test("a socket that is over leaves no listener at the session, however often it was opened", { skip }, async (t) => {
  const { server, signedIn } = await stage(t);
  const tab = await signedIn();
  await tab.evaluate(`{
    window.listeners = 0;
    for (const [name, step] of [["addEventListener", 1], ["removeEventListener", -1]]) {
      const real = session[name];
      session[name] = function (...given) {
        listeners += step;
        return real.apply(this, given);
      };
    }
  }`);
  await open(tab, "reauthenticate: true, reconnects: () => true");
  /** @type {unknown[]} */
  const counts = [];
  for (let round = 1; round <= 2; round += 1) {
    const socket = (await server.socket()).accept();
    await heard(tab, 2 * round - 1);
    counts.push(await tab.evaluate("listeners"));
    socket.close(1000);
    await heard(tab, 2 * round);
  }
  assert.equal(counts[0], counts[1], "one connection's worth while it is open");
  await tab.evaluate("line.close()");
  await closed(tab);
  assert.equal(await tab.evaluate("listeners"), 0);
});

test("whether a socket is opened again after a code can be said by the page", { skip }, async (t) => {
  const { server, signedIn } = await stage(t);
  const tab = await signedIn();
  await open(tab, "reconnects: ({ code }) => code !== 4000");
  (await server.socket()).accept().close(4000);
  assert.equal(await closed(tab), null);
});

test("an open socket says it again for each new token, where that is asked", { skip }, async (t) => {
  const { server, signedIn } = await stage(t);
  const tab = await signedIn();
  const opened = async (/** @type {string} */ more) => {
    await open(tab, more);
    const socket = (await server.socket()).accept();
    await socket.heard(1);
    return socket;
  };
  const same = await opened("reauthenticate: true");
  const other = await opened("reauthenticate: (socket, token) => socket.send('renewed ' + token)");
  const silent = await opened("");
  await heard(tab, 3);
  await tab.evaluate("session.renew()");
  assert.deepEqual(await same.heard(2), ["token access-1", "token access-2"]);
  assert.deepEqual(await other.heard(2), ["token access-1", "renewed access-2"]);
  await tab.evaluate("session.renew()");
  assert.deepEqual((await other.heard(3)).at(-1), "renewed access-3");
  assert.deepEqual(silent.said, ["token access-1"]);
  assert.equal(server.sockets.all.length, 3);
});

test("a socket is renewed before its token ends, though the page sends nothing else", { skip }, async (t) => {
  const { server, signedIn } = await stage(t);
  server.lifetimeSeconds = 2;
  const tab = await signedIn();
  await open(tab, "reauthenticate: true");
  const socket = (await server.socket()).accept();
  assert.ok((await socket.heard(3)).every((said, at) => at === 0 || said !== socket.said[at - 1]));
  assert.equal(server.sockets.all.length, 1);
});

test("a sign-out in another tab ends the socket of this one", { skip }, async (t) => {
  const { server, signedIn, tab: another } = await stage(t);
  const tab = await signedIn();
  await open(tab);
  const socket = (await server.socket()).accept();
  await socket.heard(1);
  await (await another()).evaluate("session.restore().then(() => session.logout())");
  const why = await closed(tab);
  assert.deepEqual([why.code, why.reason], ["signed_out", "signed_out"]);
  assert.equal(await socket.gone(), 1000);
  assert.equal(server.sockets.all.length, 1);
});

test("when the session is over a refused socket says so, and is not opened again", { skip }, async (t) => {
  const { server, signedIn } = await stage(t);
  const tab = await signedIn();
  await open(tab);
  const socket = (await server.socket()).accept();
  await socket.heard(1);
  server.end();
  socket.close(4401);
  assert.equal((await closed(tab)).code, "signed_out");
  assert.deepEqual(errors(await heard(tab, 2)), ["signed_out"]);
  assert.equal(server.sockets.all.length, 1);
});

test("when another user signs in on the page, the socket ends instead of going on as somebody else", { skip }, async (t) => {
  const { server, signedIn } = await stage(t);
  const tab = await signedIn();
  await open(tab, "reauthenticate: true");
  const socket = (await server.socket()).accept();
  await socket.heard(1);
  await tab.evaluate("session.login({ username: 'bob', password: 'staple-of-the-stable' })");
  const why = await closed(tab);
  assert.deepEqual([why.code, why.reason], ["signed_out", "signed_in_anew"]);
  await socket.gone();
  assert.deepEqual(socket.said, ["token access-1"], "the other user's token was not said");
});

test("an abort ends a socket, also one whose handshake is not answered", { skip }, async (t) => {
  const { server, signedIn } = await stage(t);
  const tab = await signedIn();
  await tab.evaluate("window.controller = new AbortController()");
  await open(tab, "signal: controller.signal");
  const socket = await server.socket();
  await tab.evaluate("controller.abort()");
  assert.equal(await closed(tab), null);
  assert.equal(await socket.gone(), 1006);
  assert.deepEqual(await tab.evaluate("heard"), []);
});

test("a handshake that is never answered counts as lost after the session's timeout", { skip }, async (t) => {
  const { server, signedIn } = await stage(t);
  const tab = await signedIn();
  await tab.evaluate("session.timeoutSeconds = 1");
  await open(tab);
  await server.socket();
  const [lost] = await heard(tab, 1);
  assert.deepEqual([lost.code, lost.message], ["stream_lost", "the socket was not open within 1 s"]);
  (await server.socket()).accept();
  await heard(tab, 2);
});

test("a first message carries the token of its moment, however long the handshake has taken", { skip }, async (t) => {
  const { server, signedIn } = await stage(t);
  const tab = await signedIn();
  await open(tab);
  const socket = await server.socket();
  await tab.evaluate("session.renew()");
  assert.deepEqual(await socket.accept().heard(1), ["token access-2"]);
});

test("a first message that waits for an answer makes the socket open once it has come", { skip }, async (t) => {
  const { server, signedIn } = await stage(t);
  const tab = await signedIn();
  await open(tab, `authenticate: (socket, token) => {
    socket.send(token);
    return new Promise((resolve) => socket.addEventListener("message", () => resolve(note("known")), { once: true }));
  }`);
  const socket = (await server.socket()).accept();
  await socket.heard(1);
  socket.send("welcome");
  assert.deepEqual((await heard(tab, 3)).sort(), ["known", "open", "welcome"]);
  assert.equal((await heard(tab, 3)).indexOf("open"), 2);
});

test("a first message that cannot be said counts as lost, and is heard of where nobody listens for errors", { skip }, async (t) => {
  const { server, signedIn, faults } = await stage(t);
  const tab = await signedIn();
  await open(tab, `authenticate: (socket, token) => {
    window.tried = (window.tried ?? 0) + 1;
    if (tried === 1) throw new TypeError("of the page");
    socket.send(token);
  }, onerror: undefined`);
  const first = (await server.socket()).accept();
  await first.gone();
  const second = (await server.socket()).accept();
  assert.deepEqual(await second.heard(1), ["access-1"]);
  assert.deepEqual(faults.splice(0), ["of the page"]);

  await tab.evaluate("line.close()");
  await open(tab, "authenticate: () => Promise.reject(), onopen: undefined");
  (await server.socket()).accept();
  assert.equal((await heard(tab, 2))[1].code, "stream_lost");
});

test("a URL with a token in it is refused loudly, and so is a socket that cannot say who it is", { skip }, async (t) => {
  const { server, signedIn } = await stage(t);
  const tab = await signedIn();
  for (const url of ["/socket?access_token=x", "/socket?ticket=access-1", "/socket/access-1", "wss://elsewhere.example/"]) {
    const name = await open(tab, "", url).then(String, (error) => error.message);
    assert.match(name, /TypeError/, url);
    assert.doesNotMatch(name.split("\n")[0], /access-1/);
  }
  const without = await open(tab, "authenticate: undefined").then(String, (error) => error.message);
  assert.match(without, /TypeError: a socket sends no header/);
  assert.equal(server.sockets.all.length, 0);
});

test("a subprotocol that cannot carry the token is refused without repeating it", { skip }, async (t) => {
  const { signedIn } = await stage(t);
  const tab = await signedIn();
  await open(tab, "authenticate: undefined, protocols: (token) => ['bearer=' + token]");
  const why = await closed(tab);
  assert.equal(why.code, "stream_refused");
  assert.doesNotMatch(JSON.stringify(why), /access-1/);
});

test("what a page's handler throws is reported as the page's own, and the stream goes on", { skip }, async (t) => {
  const { server, signedIn, faults } = await stage(t);
  const tab = await signedIn();
  await tab.evaluate(`void streams.openEvents(session, "/events", { onmessage: ({ data }) => {
    note(data);
    throw new Error("of the page at " + data);
  } })`);
  (await server.stream()).accept().send("data: a\n\ndata: b\n\n");
  assert.deepEqual(await heard(tab, 2), ["a", "b"]);
  assert.deepEqual(faults.splice(0), ["of the page at a", "of the page at b"]);
});

test("in a browser a stream of events is opened again with a new token, and ends with a sign-out elsewhere", { skip }, async (t) => {
  const { server, signedIn, tab: another } = await stage(t);
  const tab = await signedIn();
  await tab.evaluate(`void (window.line = streams.openEvents(session, "/events", {
    onmessage: ({ data, lastEventId }) => note(data + " " + lastEventId),
  }))`);
  const first = (await server.stream()).accept().send("retry: 100\nid: 晚\ndata: a\n\n");
  await heard(tab, 1);
  server.expire();
  first.end();
  const second = (await server.stream()).accept().send("data: b\n\n");
  assert.equal(Buffer.from(String(second.headers["last-event-id"]), "latin1").toString(), "晚");
  assert.deepEqual(await heard(tab, 2), ["a 晚", "b 晚"]);
  assert.equal(server.refreshes, 1);
  await (await another()).evaluate("session.restore().then(() => session.logout())");
  assert.equal((await closed(tab)).code, "signed_out");
  await second.gone();
});
