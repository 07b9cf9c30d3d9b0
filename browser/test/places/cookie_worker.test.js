// @ts-check
/** A module worker in cookie mode, beside its page, with evertoken's own server. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { askMany, logout, restore, skip, stage, statuses } from "../cookie/support/stage.js";

/** Restores when it is asked to, sends so many requests when it is told a number. */
const WORKER = `
  import { createSession } from "/client/index.js";
  const session = createSession();
  session.addEventListener("signedout", ({ reason }) => postMessage("signedout " + reason));
  onmessage = async ({ data }) => {
    const tell = (error) => error.code ?? error.message;
    if (data === "restore") return postMessage(await session.restore().catch(tell));
    const status = (at) => session.fetch("/api/x?worker=" + at).then((answer) => answer.status, tell);
    postMessage(await Promise.all(Array.from({ length: data }, (_, at) => status(at))));
  };
`;

test("in cookie mode a page and its module worker make one refresh, and a sign-out reaches both", { skip }, async (t) => {
  const { front, context, signedIn } = await stage(t, { overlap: 0 });
  await context.route("**/worker.js", (route) => route.fulfill({ contentType: "text/javascript", body: WORKER }));
  const [tab] = await signedIn();
  await tab.evaluate(`{
    const worker = new Worker("/worker.js", { type: "module" });
    const answers = [];
    const waiting = [];
    worker.onmessage = ({ data }) => (waiting.length ? waiting.shift()(data) : answers.push(data));
    worker.onerror = ({ message }) => worker.onmessage({ data: "failed: " + message });
    window.next = () => new Promise((resolve) => (answers.length ? resolve(answers.shift()) : waiting.push(resolve)));
    window.told = (what) => (worker.postMessage(what), next());
  }`);
  const worker = (/** @type {string | number} */ what) => tab.evaluate(`told(${JSON.stringify(what)})`);
  assert.equal(await worker("restore"), true);
  assert.deepEqual(await worker(3), [200, 200, 200]);
  assert.equal(front.refreshes, 0, "the page has told it the access token");
  for (let trial = 1; trial <= 10; trial += 1) {
    front.expire();
    const [asked, told] = await Promise.all([askMany(tab, 5), worker(5)]);
    assert.deepEqual([...statuses(asked), .../** @type {any[]} */ (told)], Array(10).fill(200), `trial ${trial}`);
    assert.equal(front.refreshes, trial);
  }
  assert.equal(await restore(tab), true);
  const heard = tab.evaluate("next()");
  assert.equal(await logout(tab), null);
  assert.equal(await heard, "signedout signed_out");
  assert.deepEqual(await worker(1), ["signed_out"]);
});
