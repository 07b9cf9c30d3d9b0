// @ts-check
/** The package in a program that renders pages: it is loaded there, and does nothing. */

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";

const ENTRIES = ["index", "core", "stores", "axios", "dialects", "streams", "react", "vue"];
const SOURCES = new URL("../../src/", import.meta.url);

/**
 * What a module of its own process has printed; the process has to end by itself.
 * @param {string} code
 * @param {string[]} [flags]
 * @returns {Promise<any>}
 */
function printed(code, flags = []) {
  const args = [...flags, "--input-type=module", "--eval", code];
  return new Promise((resolve, reject) => {
    execFile(process.execPath, args, { timeout: 20_000, cwd: new URL(".", SOURCES) }, (error, out, complaints) => {
      if (error) reject(new Error(error.killed ? "the process does not end by itself" : `${error.message} ${complaints}`));
      else if (complaints) reject(new Error(complaints));
      else resolve(JSON.parse(out));
    });
  });
}

/** Import every entry, make sessions of each kind, and tell what has changed in the program by that. */
const LOOK = `
  const FRAMEWORKS = ["react", "vue"];
  // What frameworks do when they are loaded is their own.
  for (const framework of FRAMEWORKS) await import(framework);
  const called = [];
  for (const name of ["fetch", "setTimeout", "setInterval", "setImmediate", "queueMicrotask", "addEventListener"]) {
    const real = globalThis[name];
    globalThis[name] = (...given) => (called.push(name), real?.(...given));
  }
  const listed = Object.getOwnPropertyNames(globalThis).sort().join();
  const entries = {};
  for (const name of ${JSON.stringify(ENTRIES)}) entries[name] = await import(${JSON.stringify(SOURCES.href)} + name + ".js");
  const atImport = called.splice(0);
  const { createSession, indexedDBStore, memoryStore } = entries.index;
  const baseURL = "https://api.example.com";
  const sessions = [
    createSession({ baseURL }), createSession({ baseURL, store: indexedDBStore() }),
    createSession({ baseURL, store: memoryStore() }), entries.core.createSession({ baseURL, delivery: "body" }),
  ];
  const users = sessions.map((session) => session.user);
  console.log(JSON.stringify({
    exported: Object.values(entries).map((entry) => Object.keys(entry).length > 0),
    atImport: atImport.filter((name) => name !== "queueMicrotask"), atCreate: called,
    isUntouched: listed === Object.getOwnPropertyNames(globalThis).sort().join(), users,
    open: process.getActiveResourcesInfo().filter((kind) => !/^(PipeWrap|TTYWrap|CloseReq|FSReq.*)$/.test(kind)),
  }));
`;

const NOTHING = {
  exported: ENTRIES.map(() => true), atImport: [], atCreate: [], isUntouched: true, users: [null, null, null, null], open: [],
};

test("on a server every entry is imported and sessions are made without a timer, a request, a handle or a global", async () => {
  assert.deepEqual(await printed(LOOK), NOTHING);
});

test("the client evaluates no text and changes no built-in object", async () => {
  const entries = ["index", "core", "stores", "axios", "dialects", "streams"];
  const look = LOOK.replace(JSON.stringify(ENTRIES), JSON.stringify(entries)).replace('["react", "vue"]', "[]");
  const flags = ["--disallow-code-generation-from-strings", "--frozen-intrinsics", "--disable-warning=ExperimentalWarning"];
  assert.deepEqual(await printed(look, flags), { ...NOTHING, exported: entries.map(() => true) });
});

test("two requests that a server renders at once hold sessions of their own", async () => {
  const code = `
    const { createSession, memoryStore } = await import(${JSON.stringify(`${SOURCES.href}index.js`)});
    const settings = () => ({ baseURL: "https://api.example.com", store: memoryStore() });
    const [one, two] = [createSession(settings()), createSession(settings())];
    let told = 0;
    two.addEventListener("signedin", () => (told += 1));
    globalThis.fetch = async () => Response.json({ access_token: "a", refresh_token: "r", expires_in: 60 });
    await one.login({ username: "ada", password: "correct-horse-battery" });
    console.log(JSON.stringify([one.user, two.user, await two.restore(), told]));
  `;
  assert.deepEqual(await printed(code), [{ session_id: null, account: "ada" }, null, false, 0]);
});
