// @ts-check
/** The code of docs/browser/streams.md, word for word, in a page. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { codeOf } from "../frameworks/support/guide.js";
import { skip, stage } from "./support/chromium.js";

const CODE = codeOf("streams.md");
/** The evertoken server is not here, and neither is its cookie: the tokens stand in a store. */
const SHIM = `
  export * from "/client/src/index.js";
  import { createSession as create, indexedDBStore } from "/client/src/index.js";
  export const createSession = () => create({ store: indexedDBStore() });
`;
const MAP = JSON.stringify({ imports: { evertoken: "/shim.js", "evertoken/streams": "/client/src/streams.js" } });

/** A page that runs a block, and what it logs. @param {import("node:test").TestContext} t @param {string} name */
async function running(t, name) {
  const { server, context } = await stage(t);
  server.files.set("/shim.js", SHIM);
  const code = CODE.get(name) ?? assert.fail(`the guide has no ${name}`);
  server.files.set("/block", `<!doctype html><script type="importmap">${MAP}</script><script type="module">${code}</script>`);
  const tab = await context.newPage();
  /** @type {string[]} */
  const said = [];
  tab.on("console", (message) => message.type() === "log" && said.push(message.text()));
  tab.on("pageerror", (error) => said.push(`error: ${error.message}`));
  await tab.goto(`${server.url}/block`);
  const next = () => tab.waitForEvent("console", { predicate: (message) => message.type() === "log", timeout: 10_000 });
  return { server, said, next };
}

test("events.js of the guide logs what arrives, comes back and ends when the server is done", { skip }, async (t) => {
  const { server, said, next } = await running(t, "events.js");
  const stream = (await server.stream()).accept();
  const first = next();
  stream.send("retry: 100\nid: 1\nevent: tile\ndata: 7\n\n");
  await first;
  stream.end();
  const last = next().then(next);
  (await server.stream()).refuse(204);
  await last;
  assert.deepEqual(said, ["tile 7 1", "opened again soon", "null"]);
});

test("socket.js of the guide says who it is, asks, logs what it hears and ends with the server", { skip }, async (t) => {
  const { server, said, next } = await running(t, "socket.js");
  const socket = (await server.socket()).accept();
  assert.deepEqual(await socket.heard(2), ['{"token":"access-1"}', "what is new?"]);
  const first = next();
  socket.send("nothing");
  await first;
  const last = next();
  socket.close(1000);
  await last;
  assert.deepEqual(said, ["nothing", "null"]);
});

test("every block of the guide to streams is run", () => {
  assert.deepEqual([...CODE.keys()], ["events.js", "socket.js"]);
});
