// @ts-check
/** Who waits for a refresh: what he is told, with which token he goes on, and who does not wait at all. */

import assert from "node:assert/strict";

import { ALL, AXIOS, ONE, statuses, story, times } from "./support/stage.js";

story("ten requests that wait for a refresh that fails all reject, and alike", AXIOS, {}, async ({ api, tab }) => {
  api.expire();
  api.script = [{ status: 503, body: {} }];
  const answers = await tab.many(10, "/x");
  assert.deepEqual(statuses(answers), times(10, "refresh_unavailable"));
  assert.equal(new Set(answers.map(({ message }) => message)).size, 1);
  assert.deepEqual([api.refreshes, api.of("/x").length], [1, 10]);
  assert.deepEqual(await tab.events(), []);
});

story("a 500 and a 404 that arrive during a refresh do not wait for it", ALL, {}, async ({ api, tab }) => {
  api.routes.set("/broken", () => ({ status: 500, body: { what: "broken" } }));
  api.routes.set("/gone", () => ({ status: 404, body: {} }));
  const gates = ["/broken", "/gone"].map((path) => api.hold(path));
  // They have been sent already when the refresh begins.
  await tab.start("broken", "/broken");
  await tab.start("gone", "/gone");
  for (const gate of gates) await gate.arrived();
  api.expire();
  const refresh = api.hold("/auth/refresh");
  await tab.start("waiting", "/x");
  await refresh.arrived();
  for (const gate of gates) gate.release();
  assert.deepEqual(await tab.end("broken"), { status: 500, data: { what: "broken" } });
  assert.equal((await tab.end("gone")).status, 404);
  refresh.release();
  assert.equal((await tab.end("waiting")).status, 200);
  assert.deepEqual([api.of("/broken").length, api.of("/gone").length, api.refreshes], [1, 1, 1]);
});

story("without a refresh token, every request is told that it is over, and the page once", ALL, { user: null },
  async ({ api, tab }) => {
    api.writes = ({ refresh_token: _, ...pair }) => pair;
    await tab.begin({});
    assert.equal((await tab.call("/x")).status, 200);
    api.expire();
    for (const answer of [...(await tab.many(5, "/x")), await tab.call("/x")]) {
      assert.deepEqual([answer.code, answer.reason], ["signed_out", "expired"]);
    }
    assert.deepEqual(await tab.events(), ["expired"]);
    assert.equal(api.refreshes, 0);
  });

story("requests that begin while those who waited are let go are answered too", ALL, {}, async ({ api, tab }) => {
  api.expire();
  const answers = await tab.run(async (faults, _, caller) => {
    const later = /** @type {Promise<any>[]} */ ([]);
    const again = () => void later.push(faults.call(caller, { url: "/later" }));
    // Before anybody who waits has gone on, and after the first of them has.
    faults.session.addEventListener("token", again, { once: true });
    const waiting = Array.from({ length: 5 }, () => faults.call(caller, { url: "/x" }));
    waiting[0].then(again);
    return [...(await Promise.all(waiting)), ...(await Promise.all(later))];
  });
  assert.deepEqual(statuses(answers), times(7));
  assert.equal(api.refreshes, 1);
});

story("a token that expires again while those who waited are let go costs one refresh more", ALL, {},
  async ({ api, tab }) => {
    api.expire();
    let isFirst = true;
    api.routes.set("/x", (_, isGood) => {
      if (isGood && isFirst) {
        isFirst = false;
        api.expire();
        return { body: { code: 0 } };
      }
      return null;
    });
    // Each is sent twice at most: whoever was refused with both tokens gets the refusal, and nobody hangs.
    const answers = statuses(await tab.many(5, "/x"));
    assert.ok(answers.includes(200) && answers.every((status) => [200, 401].includes(status)), String(answers));
    // A token that was refused as soon as it was new is left alone for half a minute.
    await tab.run((faults) => faults.moveClock(31));
    assert.deepEqual(statuses(await tab.many(5, "/y")), times(5));
    assert.equal(api.refreshes, 2);
  });

story("whoever started the refresh and those who waited are all sent with the new token", AXIOS, {},
  async ({ api, tab }) => {
    await tab.call("/before");
    const [old] = api.tokens("/before");
    api.expire();
    assert.deepEqual(statuses(await tab.many(8, "/x")), times(8));
    await tab.call("/after");
    const [renewed] = api.tokens("/after");
    assert.notEqual(renewed, old);
    assert.deepEqual(api.tokens("/x").filter((token) => token === renewed).length, 8);
    assert.deepEqual(new Set(api.tokens("/x")), new Set([old, renewed]));
    assert.equal(api.refreshes, 1);
  });

story("requests that wait for a session that is over are not sent again, and the page is told once", AXIOS, {},
  async ({ api, tab }) => {
    api.end();
    const answers = await tab.many(5, "/x");
    assert.deepEqual(statuses(answers), times(5, "signed_out"));
    assert.deepEqual([api.refreshes, api.of("/x").length], [1, 5]);
    assert.deepEqual(statuses(await tab.many(5, "/x")), times(5, "signed_out"));
    assert.equal(api.of("/x").length, 5, "what can only be refused is not sent");
    assert.deepEqual((await tab.events()).length, 1);
  });

story("fetch and four versions of axios in one page share one refresh", ONE, {}, async ({ api, tab }) => {
  api.expire();
  const answers = await tab.run((faults) =>
    Promise.all(["fetch", ...Object.keys(faults.builds)].flatMap((caller) => [
      faults.call(caller, { url: `/${caller}` }),
      faults.call(caller, { url: `/${caller}` }),
    ])),
  );
  assert.deepEqual(statuses(answers), times(10));
  assert.deepEqual([api.refreshes, api.seen.length], [1, 20]);
});

story("requests that find the token expired one after the other share one refresh", ALL, {}, async ({ api, tab }) => {
  await tab.run((faults) => faults.moveClock(3700));
  const refresh = api.hold("/auth/refresh");
  await tab.run(async (faults, _, caller) => {
    faults.kept.all = [];
    for (let turn = 0; turn < 12; turn += 1) {
      faults.kept.all.push(faults.call(caller, { url: "/x" }));
      // A few in the same turn, a few in later microtasks, a few in later tasks.
      if (turn % 3 === 1) await null;
      if (turn % 3 === 2) await new Promise((resolve) => setTimeout(resolve));
    }
  });
  await refresh.arrived();
  assert.equal(api.seen.length, 0, "none is sent with a token that is known to have expired");
  refresh.release();
  assert.deepEqual(statuses(await tab.run((faults) => Promise.all(faults.kept.all))), times(12));
  assert.deepEqual([api.refreshes, api.seen.length], [1, 12]);
});

story("a refusal that arrives after the refresh is answered by sending again", AXIOS, {}, async ({ api, tab }) => {
  const late = api.hold("/late");
  api.expire();
  await tab.start("late", "/late");
  await late.arrived();
  assert.equal((await tab.call("/x")).status, 200);
  late.release();
  assert.equal((await tab.end("late")).status, 200);
  assert.deepEqual([api.refreshes, api.of("/late").length], [1, 2]);
});

story("a request that begins during a refresh waits, and the old token is not sent any more", ALL, {},
  async ({ api, tab }) => {
    api.expire();
    const refresh = api.hold("/auth/refresh");
    await tab.start("first", "/first");
    await refresh.arrived();
    for (const name of ["a", "b", "c"]) await tab.start(name, "/during");
    // A request of its own that needs no token goes the same way, and is there by then if they were.
    await tab.run(() => fetch("/probe"));
    assert.equal(api.of("/during").length, 0);
    refresh.release();
    for (const name of ["first", "a", "b", "c"]) assert.equal((await tab.end(name)).status, 200);
    assert.deepEqual([api.of("/during").length, api.refreshes], [3, 1]);
    assert.equal(new Set(api.tokens("/during")).size, 1);
  });

story("a refresh on demand and a refusal at the same time make one refresh", ALL, {}, async ({ api, tab }) => {
  api.expire();
  const answer = await tab.run(async (faults, _, caller) => {
    const [answered] = await Promise.all([faults.call(caller, { url: "/x" }), faults.session.renew()]);
    return answered;
  });
  assert.equal(answer.status, 200);
  assert.equal(api.refreshes, 1);
});

story("a page that wakes, its requests and a refresh on demand at once make one refresh", ALL, {},
  async ({ api, tab }) => {
    // Seven seconds before its end a token is renewed by whoever needs it first.
    for (const seconds of [3593, 3700]) {
      const before = api.refreshes;
      const answers = await tab.run(async (faults, shift, caller) => {
        faults.moveClock(shift);
        const asked = /** @type {Promise<any>[]} */ ([]);
        window.dispatchEvent(new Event("online"));
        asked.push(faults.call(caller, { url: "/x" }));
        document.dispatchEvent(new Event("visibilitychange"));
        const renewing = faults.session.renew();
        window.dispatchEvent(new Event("pageshow"));
        document.dispatchEvent(new Event("resume"));
        asked.push(faults.call(caller, { url: "/x" }));
        await renewing;
        return Promise.all(asked);
      }, seconds);
      assert.deepEqual(statuses(answers), times(2));
      await tab.call("/after");
      assert.equal(api.refreshes - before, 1);
    }
  });

story("no timer stands between a refusal, the refresh and the second sending", ALL, {}, async ({ api, tab }) => {
  api.expire();
  const answers = await tab.run(async (faults, _, caller) => {
    const { setTimeout: timeout, setInterval: interval } = window;
    // What is set now never runs.
    Object.assign(window, { setTimeout: () => 0, setInterval: () => 0 });
    try {
      return await Promise.all([1, 2, 3].map(() => faults.call(caller, { url: "/x" })));
    } finally {
      Object.assign(window, { setTimeout: timeout, setInterval: interval });
    }
  });
  assert.deepEqual(statuses(answers), times(3));
  assert.equal(api.refreshes, 1);
});

story("an answer reaches its caller while others still wait for theirs", ALL, {}, async ({ api, tab }) => {
  api.expire();
  const slow = api.hold("/slow");
  slow.release();
  const refresh = api.hold("/auth/refresh");
  await tab.start("slow", "/slow");
  await tab.start("leader", "/leader");
  await refresh.arrived();
  const slower = api.hold("/slow");
  refresh.release();
  // The one depends on the other, as a page's requests do.
  const first = await tab.end("leader");
  assert.equal((await tab.call(`/after${first.data.path}`)).data.path, "/after/leader");
  await slower.arrived();
  slower.release();
  assert.equal((await tab.end("slow")).status, 200);
  assert.equal(api.refreshes, 1);
});
