// @ts-check
/**
 * The faults of the published set-ups, as situations: each is played with a set-up and with evertoken's client, and
 * says what was seen. Here those of the refresh itself.
 */

import assert from "node:assert/strict";

import { MINUTE, words } from "./stage.js";

/** @typedef {import("./stage.js").Stage} Stage */
/**
 * @typedef {object} Fault
 * @property {number} number
 * @property {string} title what goes wrong, or how it should be
 * @property {string[]} dialects whose set-ups are known for it
 * @property {boolean} [isAlone] it is played in a browser of its own
 * @property {boolean} [isMixed] axios and fetch take turns in it; else it is played with each
 * @property {(stage: Stage) => Promise<any>} play the situation; what was seen
 * @property {(seen: any) => string} tell it in a sentence
 * @property {(seen: any, dialect: string, kind: string) => void} isRight what has to be seen of evertoken's client
 * @property {string} ours what that is, in a sentence
 */

export const ALL = [
  "raw-header", "status-code-in-body", "nest", "get-refresh", "code-in-400", "cookie-envelope", "code-in-200",
];
const THREE = ["/bbb/1", "/bbb/2", "/bbb/3"];

/** @param {Stage} stage signed in, and the access token has expired */
export async function expired({ tab, move }) {
  await tab.open();
  assert.equal(await tab.enter(), null);
  await move(31 * MINUTE);
}

/** @param {number} count */
export const refreshed = (count) => (count === 1 ? "one refresh" : `${count} refreshes`);

/** @param {(string | number | undefined)[]} said */
const list = (said) => said.map(String).sort().join(", ");

/** @param {Stage} stage */
async function twoTabs({ front, tab, another, setup, move, refreshes }) {
  await tab.open();
  assert.equal(await tab.enter(), null);
  const other = await another();
  assert.deepEqual(words([await tab.call("/bbb"), await other.call("/bbb")]), [200, 200]);
  await move(31 * MINUTE);
  const refresh = front.hold(setup.refresh, "asked");
  await tab.start("/bbb/1");
  await refresh.arrived();
  await other.start("/bbb/2");
  await other.quiet();
  refresh.release();
  await tab.settled(["/bbb/1"]);
  await other.settled(["/bbb/2"]);
  const together = refreshes();
  await move(31 * MINUTE);
  const isIn = [];
  for (const each of [tab, other]) {
    await each.start("/bbb/3");
    isIn.push(words(await each.settled(["/bbb/3"]))[0] === 200);
  }
  return { refreshes: together, isIn };
}

/** @param {{refreshes: number, isIn: boolean[]}} seen */
function toldOfTwo({ refreshes, isIn }) {
  const left = isIn.filter(Boolean).length;
  return `${refreshed(refreshes)}, ${["both are signed out", "one is signed out", "both go on"][left]}`;
}

/** @param {{refreshes: number, isIn: boolean[]}} seen */
const isOneRefresh = (seen) => assert.deepEqual(seen, { refreshes: 1, isIn: [true, true] });

/** @type {Fault[]} */
export const REFRESHING = [
  {
    number: 1,
    title: "three calls wait for a refresh, and the refresh fails (404)",
    dialects: ["raw-header", "nest", "get-refresh", "code-in-400"],
    isMixed: true,
    play: async (stage) => {
      await expired(stage);
      stage.front.answer(stage.setup.refresh, 404);
      await stage.expiredTogether(THREE);
      return { calls: words(await stage.tab.settled(THREE)), alerts: stage.tab.alerts };
    },
    tell: ({ calls, alerts }) => `the three calls: ${list(calls)}${alerts.length ? `; the user is told "${alerts}"` : ""}`,
    isRight: (seen) => assert.deepEqual(seen, { calls: Array(3).fill("refresh_unavailable"), alerts: [] }),
    ours: "all three are told `refresh_unavailable`, and nobody is signed out",
  },
  {
    number: 2,
    title: "a 404 and a 500 arrive while a refresh is under way",
    dialects: ["nest", "get-refresh"],
    isMixed: true,
    play: async (stage) => {
      const { front, tab, setup } = stage;
      await expired(stage);
      const others = ["/bbb/missing", "/bbb/broken"];
      front.answer(others[0], 404);
      front.answer(others[1], 500);
      const answers = others.map((path) => front.hold(path, "answered"));
      await tab.startAll(others);
      for (const each of answers) await each.arrived();
      const refresh = front.hold(setup.refresh, "asked");
      await tab.start("/bbb/1");
      await refresh.arrived();
      for (const each of answers) each.release();
      const during = words(await tab.settled(others));
      refresh.release();
      await tab.quiet();
      return { during, sendings: others.map((path) => front.of(path).length) };
    },
    tell: ({ during, sendings }) => `while it is under way: ${list(during)}; sent ${sendings.join(" and ")} times`,
    isRight: (seen) => assert.deepEqual(seen, { during: [404, 500], sendings: [1, 1] }),
    ours: "they reach their callers at once, and were sent once",
  },
  {
    number: 3,
    title: "three calls wait for a refresh, and half an hour later one call needs another",
    dialects: ["raw-header", "nest", "get-refresh"],
    isMixed: true,
    play: async (stage) => {
      const { front, tab, move } = stage;
      await expired(stage);
      await stage.expiredTogether(THREE);
      const first = words(await tab.ended(THREE));
      await move(31 * MINUTE);
      const before = front.seen.length;
      await tab.call("/bbb/4");
      await tab.quiet();
      return { first, again: front.seen.slice(before).filter(({ path }) => THREE.includes(path)).length };
    },
    tell: ({ first, again }) => `the three calls: ${list(first)}; sent anew half an hour later: ${again} of them`,
    isRight: (seen) => assert.deepEqual(seen, { first: [200, 200, 200], again: 0 }),
    ours: "three answers, and nothing is sent anew later",
  },
  {
    number: 4,
    title: "the connection is lost in mid-refresh, and is there again for the next call",
    dialects: ["nest", "get-refresh", "code-in-400"],
    isMixed: true,
    play: async (stage) => {
      const { front, tab, setup } = stage;
      await expired(stage);
      front.cut(setup.refresh, 1);
      await tab.start("/bbb/1");
      const [first] = words(await tab.settled(["/bbb/1"]));
      await tab.start("/bbb/2");
      return { first, next: words(await tab.settled(["/bbb/2"]))[0] };
    },
    tell: ({ first, next }) => `the call: ${first}; the next one: ${next}`,
    isRight: (seen) => assert.deepEqual(seen, { first: 200, next: 200 }),
    ours: "the refresh is sent once more, both calls are answered",
  },
  {
    number: 6,
    title: "a refresh fails (404), and the page goes on",
    dialects: ["raw-header"],
    isMixed: true,
    play: async (stage) => {
      const { front, tab, setup } = stage;
      await expired(stage);
      front.answer(setup.refresh, 404, 1);
      const first = await tab.call("/bbb/1");
      await tab.call("/bbb/2");
      return { first: words([first])[0], tokens: front.of("/bbb/2").map(({ token }) => token) };
    },
    tell: ({ tokens }) => `the next call was sent with the token \`${tokens[0]}\``,
    isRight: ({ first, tokens }) => {
      assert.equal(first, "refresh_unavailable");
      for (const token of tokens) assert.match(token, /^[\w-]+\.[\w-]+\.[\w-]+$|^a\d/, "a token, whole");
    },
    ours: "no request is ever sent with anything but an access token",
  },
  {
    number: 7,
    title: "a refusal arrives just after a refresh",
    dialects: ALL,
    isMixed: true,
    play: async (stage) => {
      const { front, tab } = stage;
      await expired(stage);
      const late = front.hold("/bbb/late", "answered", 1);
      await tab.start("/bbb/late");
      await late.arrived();
      const soon = await tab.call("/bbb/1");
      late.release();
      return { answers: words([soon, ...(await tab.ended(["/bbb/late"]))]), refreshes: stage.refreshes() };
    },
    tell: ({ refreshes }) => refreshed(refreshes),
    isRight: (seen) => assert.deepEqual(seen, { answers: [200, 200], refreshes: 1 }),
    ours: "one refresh: the late one is sent again with the token that is there",
  },
  {
    number: 8,
    title: "a resource refuses a new access token, too",
    dialects: [...ALL.slice(0, 5), "code-in-200"],
    isMixed: true,
    play: async (stage) => {
      const { front, tab } = stage;
      await expired(stage);
      // The second one waits half a second for each.
      front.strip("/bbb/1", front.told.DIALECT === "status-code-in-body" ? 3 : 6);
      await tab.start("/bbb/1");
      const [answer] = words(await tab.settled(["/bbb/1"]));
      return { answer, sendings: front.of("/bbb/1").length, refreshes: stage.refreshes() };
    },
    tell: ({ answer, sendings, refreshes }) =>
      `sent ${sendings} times with ${refreshed(refreshes)}, ` +
      (answer === 200 ? "until the resource gave in" : answer === "left" ? "then the page goes to its sign-in" : answer),
    isRight: ({ answer, ...counted }, dialect) => {
      assert.equal(answer, dialect === "code-in-400" ? 400 : dialect === "code-in-200" ? 200 : 401);
      assert.deepEqual(counted, { sendings: 2, refreshes: 1 });
    },
    ours: "sent twice with one refresh, and the refusal reaches the caller",
  },
  {
    number: 9,
    title: "an access token has expired, and the page's clock stands still",
    dialects: ["status-code-in-body"],
    isAlone: true,
    play: async (stage) => {
      const { front, tab } = stage;
      await tab.page.clock.install();
      await expired(stage);
      await tab.page.clock.pauseAt(Date.now() + 60_000);
      await tab.start("/bbb/1");
      let waited = 0;
      for (; waited <= 1000; waited += 100) {
        await front.quiet(60);
        if (stage.refreshes() > 0) break;
        await tab.page.clock.runFor(100);
      }
      return { waited, answer: words(await tab.ended(["/bbb/1"]))[0] };
    },
    tell: ({ waited }) => `the refresh is sent ${waited} ms later`,
    isRight: (seen) => assert.deepEqual(seen, { waited: 0, answer: 200 }),
    ours: "the refresh is sent at once",
  },
  {
    number: 11,
    title: "two tabs find their access token expired at once",
    dialects: ALL,
    isMixed: true,
    play: twoTabs,
    tell: toldOfTwo,
    isRight: isOneRefresh,
    ours: "one refresh, and both go on",
  },
  {
    number: 11,
    title: "the same before another server, which ends a session whose refresh token is shown twice",
    dialects: ["status-code-in-body", "nest", "get-refresh", "cookie-envelope", "code-in-200"],
    isMixed: true,
    play: (stage) => {
      stage.front.forgiveNothing(stage.setup.refresh);
      return twoTabs(stage);
    },
    tell: toldOfTwo,
    isRight: isOneRefresh,
    ours: "one refresh, and both go on",
  },
];
