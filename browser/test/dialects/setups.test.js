// @ts-check
/** Each published set-up, unchanged, before evertoken's own server and an application that evertoken's guard keeps. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { DAY, MINUTE, SETUPS, skip, stage, words } from "./support/stage.js";

const THREE = ["/bbb/1", "/bbb/2", "/bbb/3"];

/** What three calls at once are given where it is not three good answers: the set-up's own doing. @type {Record<string, unknown[]>} */
const THREE_GET = { "get-refresh": [200, 200, "TypeError"] };

for (const [dialect, { title, refresh }] of Object.entries(SETUPS)) {
  test(`set-up ${title} signs in, refreshes in silence, goes to its sign-in at the end, and signs in again`, { skip, timeout: 60_000 }, async (t) => {
    const { front, tab, move, refreshes, expiredTogether } = await stage(t, dialect, "setup");
    await tab.open();
    assert.deepEqual(words([await tab.call("/aaa")]), [200], "what is public needs no sign-in");
    assert.equal(await tab.enter(), null);
    assert.deepEqual(words([await tab.call("/bbb")]), [200]);
    assert.equal(refreshes(), 0);

    await move(31 * MINUTE);
    assert.deepEqual(words([await tab.call("/bbb")]), [200], "the access token has expired, and nobody notices");
    assert.equal(refreshes(), 1);
    assert.equal(front.of("/bbb").length, 3, "two sendings, one before and one after the refresh");

    await move(31 * MINUTE);
    await expiredTogether(THREE);
    assert.deepEqual(words(await tab.ended(THREE)).sort(), THREE_GET[dialect] ?? [200, 200, 200]);
    assert.equal(refreshes(), 2, "three calls at once make one refresh");

    await tab.open();
    assert.deepEqual(words([await tab.call("/bbb")]), [200], "a reload signs nobody out");

    await move(8 * DAY);
    await tab.start("/bbb/late");
    await tab.atLogin();
    assert.ok(front.of(refresh).length >= 3, "it was the refresh that was refused");
    const { length } = front.seen;
    assert.equal(await tab.enter(), null);
    assert.deepEqual(words([await tab.call("/bbb")]), [200]);
    assert.ok(front.seen.slice(length).every(({ path }) => path !== refresh), "the new tokens are good");
  });
}
