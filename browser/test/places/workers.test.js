// @ts-check
/** The client in module workers, beside a page of the same origin. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { skip, stage } from "../streams/support/chromium.js";

/** @typedef {import("../streams/support/chromium.js").Tab} Tab */

/** Does what a page tells it, and says what came of it; its own events it says unasked. */
const WORKER = `
  import { createSession, indexedDBStore } from "/client/src/index.js";
  import { openEvents } from "/client/src/streams.js";

  const session = createSession({ store: indexedDBStore() });
  const serve = (port) => {
    session.addEventListener("signedout", ({ reason }) => port.postMessage({ event: "signedout " + reason }));
    session.addEventListener("signedin", ({ isElsewhere }) => port.postMessage({ event: isElsewhere && "signedin elsewhere" }));
    port.onmessage = async ({ data: { id, does, many, url } }) => {
      const tell = (error) => ({ code: error.code, message: error.message });
      const work = {
        restore: () => session.restore(),
        ask: () => Promise.all(Array.from({ length: many }, () => session.fetch("/x").then(({ status }) => status, tell))),
        logout: () => session.logout(),
        listen: () => void openEvents(session, "/events", { onmessage: (event) => port.postMessage({ event: event.data }) }),
        where: () => [typeof document, typeof window, typeof WorkerGlobalScope],
      };
      port.postMessage({ id, came: await (async () => work[does]())().catch(tell) });
    };
  };
  if (globalThis.onconnect === undefined) serve(globalThis);
  else globalThis.onconnect = ({ ports: [port] }) => serve(port);
`;

/** In the page: a worker to be told what to do. @param {Tab} tab @param {"Worker" | "SharedWorker"} kind */
async function employ(tab, kind) {
  await tab.evaluate(`{
    const worker = new ${kind}("/worker.js", { type: "module" });
    const port = worker.port ?? worker;
    const waiting = new Map();
    worker.onerror = (error) => note({ failed: error.message });
    port.onmessage = ({ data }) => (data.id ? waiting.get(data.id)(data.came) : note(data.event));
    let ids = 0;
    window.told = (does, more) => new Promise((resolve) => {
      waiting.set(++ids, resolve);
      port.postMessage({ id: ids, does, ...more });
    });
  }`);
  return (/** @type {string} */ does, more = {}) =>
    /** @type {Promise<any>} */ (tab.evaluate(`told(${JSON.stringify(does)}, ${JSON.stringify(more)})`));
}

/** @param {Tab} tab @param {number} many */
const ask = (tab, many) =>
  /** @type {Promise<any>} */ (
    tab.evaluate(`Promise.all(Array.from({ length: ${many} }, () => session.fetch("/x").then(({ status }) => status, tell)))`)
  );

/** @param {Tab} tab @param {string} event */
const noted = (tab, event) => tab.waitForFunction((wanted) => /** @type {any} */ (window).heard.includes(wanted), event);

for (const kind of /** @type {("Worker" | "SharedWorker")[]} */ (["Worker", "SharedWorker"])) {
  test(`a page and a module ${kind} that fetch on an expired token make one refresh`, { skip }, async (t) => {
    const { server, signedIn } = await stage(t);
    server.files.set("/worker.js", WORKER);
    const tab = await signedIn();
    const worker = await employ(tab, kind);
    assert.deepEqual(await worker("where"), ["undefined", "undefined", "function"]);
    assert.equal(await worker("restore"), true);
    for (let trial = 1; trial <= 20; trial += 1) {
      server.expire();
      const answers = await Promise.all([ask(tab, 5), worker("ask", { many: 5 })]);
      assert.deepEqual(answers.flat(), Array(10).fill(200), `trial ${trial}`);
      assert.equal(server.refreshes, trial);
    }
    assert.equal(server.reuses, 0);
  });

  test(`a sign-out in the page reaches a module ${kind} and ends its stream, and so does the other way`, { skip }, async (t) => {
    const { server, signedIn } = await stage(t);
    server.files.set("/worker.js", WORKER);
    const tab = await signedIn();
    const worker = await employ(tab, kind);
    assert.equal(await worker("restore"), true);
    await worker("listen");
    const stream = (await server.stream()).accept().send("data: to the worker\n\n");
    await noted(tab, "to the worker");
    await tab.evaluate("session.logout()");
    await noted(tab, "signedout signed_out");
    await stream.gone();
    const [refused] = await worker("ask", { many: 1 });
    assert.equal(refused.code, "signed_out");

    await tab.evaluate("session.login({ username: 'ada', password: 'correct-horse-battery' })");
    await noted(tab, "signedin elsewhere");
    assert.equal(await worker("restore"), true);
    const left = tab.evaluate("new Promise((resolve) => session.addEventListener('signedout', ({ reason }) => resolve(reason)))");
    await worker("logout");
    assert.equal(await left, "signed_out");
  });
}
