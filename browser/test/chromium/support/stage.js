/** What a test in a real browser stands on: a fake server in its own process, a front before it, tabs of one profile. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import path from "node:path";
import { after } from "node:test";
import { fileURLToPath } from "node:url";

import { chromium } from "playwright-core";

import { PYTHON, Server } from "./fake_server.js";
import { Front } from "./front.js";

const PASSWORDS = { ada: "correct-horse-battery", bob: "staple-of-the-stable" };
/** A name that is no localhost: to a browser, plain http there is no secure context. */
export const LAN = "admin.lan";

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  `--host-resolver-rules=MAP ${LAN} 127.0.0.1`,
];

const found = [...(process.env.PATH ?? "").split(path.delimiter), "/usr/bin"]
  .map((folder) => path.join(folder, "chromium"))
  .find((file) => existsSync(file));

/** Why these tests cannot run here, or false. */
export const skip = found ? false : "there is no chromium on PATH";

let launching = null;

/** One browser per test file; each test has a profile of its own. */
function browser() {
  launching ??= chromium.launch({ executablePath: found, args: FLAGS });
  return launching;
}

after(async () => (await launching)?.close());

const certificate = () =>
  JSON.parse(execFileSync(PYTHON, [fileURLToPath(new URL("certificate.py", import.meta.url))], { encoding: "utf8" }));

/**
 * A server, its front and a fresh profile, for one test.
 * @param {import("node:test").TestContext} t
 * @param {{isHttp2?: boolean, host?: string, initScript?: string} & Record<string, unknown>} settings
 *   initScript runs in every page before its own; what is not named here goes to FakeServer
 */
export async function stage(t, { isHttp2 = false, host = null, initScript = null, ...settings } = {}) {
  const server = await Server.start(settings);
  t.after(() => server.stop());
  const front = await new Front(server.url, isHttp2 ? certificate() : null).listen();
  t.after(() => front.close());
  const base = host ? `http://${host}:${front.port}` : front.url;
  const context = await (await browser()).newContext({ ignoreHTTPSErrors: isHttp2 });
  t.after(() => context.close());
  if (initScript) await context.addInitScript(initScript);

  const faults = [];
  t.after(() => assert.deepEqual(faults, [], "nothing was thrown outside of a promise that somebody holds"));

  /** A tab on the page, signed in to nothing yet. */
  const tab = async () => {
    const page = await context.newPage();
    page.on("pageerror", (error) => faults.push(error.message));
    await page.goto(`${base}/page`);
    await page.waitForFunction(() => window.isReady);
    return page;
  };

  /** So many tabs of one signed-in user, each with the access token in hand. */
  const signedIn = async (count = 1) => {
    const tabs = await Promise.all(Array.from({ length: count }, tab));
    await signIn(tabs[0]);
    for (const answer of await Promise.all(tabs.map((each) => ask(each, "/warm")))) assert.equal(answer.status, 200);
    return tabs;
  };
  return { server, front, context, base, tab, signedIn };
}

/** Sign in; what went wrong, or null. */
export const signIn = (tab, username = "ada") =>
  tab.evaluate((who) => session.login(who).then(() => null, tell), { username, password: PASSWORDS[username] });

/** `session.fetch` in a tab: the status and members of the answer, or the members of the error. */
export const ask = (tab, url, init) => tab.evaluate(([input, options]) => window.ask(input, options), [url, init]);

/** So many requests at once. */
export const askMany = (tab, count, url = "/x") =>
  tab.evaluate(([many, input]) => Promise.all(Array.from({ length: many }, () => window.ask(input))), [count, url]);

/** Begin a request without waiting for it; `window[name]` is its promise, `answerOf` what became of it. */
export const begin = (tab, url, name = "pending") =>
  tab.evaluate(([input, key]) => void (window[key] = window.ask(input)), [url, name]);

export const answerOf = (tab, name = "pending") => tab.evaluate((key) => window[key], name);

/** The reasons of the signedout events that a tab has had, after those that are on their way. */
export const signedOutEvents = (tab) =>
  tab.evaluate(() => new Promise((resolve) => setTimeout(() => resolve(events), 20)));

/** The document in IndexedDB, read without the client. */
export const stored = (tab) =>
  tab.evaluate(
    () =>
      new Promise((resolve, reject) => {
        const opening = indexedDB.open("evertoken", 1);
        opening.onerror = () => reject(opening.error);
        opening.onsuccess = () => {
          const request = opening.result.transaction("session").objectStore("session").get("document");
          request.onsuccess = () => {
            opening.result.close();
            resolve(request.result ?? null);
          };
        };
      }),
  );

/** Put a document into IndexedDB, without the client. */
export const write = (tab, document) =>
  tab.evaluate(
    (text) =>
      new Promise((resolve, reject) => {
        const opening = indexedDB.open("evertoken", 1);
        opening.onupgradeneeded = () => opening.result.createObjectStore("session");
        opening.onerror = () => reject(opening.error);
        opening.onsuccess = () => {
          const transaction = opening.result.transaction("session", "readwrite");
          transaction.objectStore("session").put(text, "document");
          transaction.oncomplete = () => {
            opening.result.close();
            resolve();
          };
        };
      }),
    document,
  );

/** The same request again for as long as the client says that it is too early; for at most `longestMs`. */
export async function askUntilAnswered(tab, url, longestMs = 8000) {
  const giveUpAt = Date.now() + longestMs;
  for (;;) {
    const answer = await ask(tab, url);
    if (answer.code !== "refresh_unavailable" || Date.now() > giveUpAt) return answer;
    await new Promise((resolve) => setTimeout(resolve, Math.min(answer.retryAfterSeconds, 1) * 250));
  }
}

export const statuses = (answers) => answers.map((answer) => answer.status ?? answer.code);
