// @ts-check
/** The code of docs/browser/frameworks.md, word for word: bundled with the real frameworks, in a worker, on a server. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";

import { skip, stage } from "../streams/support/chromium.js";
import { bundled, page, says } from "./support/bundle.js";
import { codeOf } from "./support/guide.js";

const CODE = codeOf("frameworks.md");
const taken = new Set();
/** The evertoken server is not here, and neither is its cookie: the tokens stand in a store. */
const IN_BODY = `import { createSession as create, indexedDBStore } from "evertoken";
const createSession = () => create({ store: indexedDBStore() });
`;

/** @param {string} name */
function code(name) {
  taken.add(name);
  return CODE.get(name) ?? assert.fail(`the guide has no ${name}`);
}

/** @param {string} name */
const inBody = (name) => {
  const plain = code(name);
  const changed = plain.replace('import { createSession } from "evertoken";\n', IN_BODY);
  assert.notEqual(changed, plain);
  return changed;
};

for (const name of ["react-app.js", "vue-app.js"]) {
  test(`${name} of the guide draws who is signed in`, { skip }, async (t) => {
    const { server, signedIn, context } = await stage(t);
    await signedIn();
    server.files.set("/app", page());
    server.files.set("/app.js", await bundled(inBody(name)));
    const tab = await context.newPage();
    await tab.goto(`${server.url}/app`);
    await says(tab, "Hello ada");
  });
}

test("worker.js of the guide fetches beside its page", { skip }, async (t) => {
  const { server, signedIn } = await stage(t);
  const tab = await signedIn();
  server.files.set("/worker.js", inBody("worker.js").replaceAll('"evertoken"', '"/client/src/index.js"'));
  const said = await tab.evaluate(`new Promise((resolve, reject) => {
    const worker = new Worker("/worker.js", { type: "module" });
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = ({ message }) => reject(new Error(message));
  })`);
  assert.equal(said, 200);
});

test("on-a-server.js of the guide runs on a server and ends by itself", () => {
  const entry = new URL("../../src/index.js", import.meta.url).href;
  const source = code("on-a-server.js").replace('"evertoken"', JSON.stringify(entry));
  const args = ["--input-type=module", "--eval", source];
  assert.equal(execFileSync(process.execPath, args, { encoding: "utf8", timeout: 20_000 }), "null\n");
});

test("every block of the guide to frameworks is run", () => {
  assert.deepEqual([...taken], [...CODE.keys()]);
});
