// @ts-check
/** examples/nest_pair in Chromium: its page as it is, and beside it the same page with evertoken's client. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import net from "node:net";
import path from "node:path";
import { createInterface } from "node:readline";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";

import { chromium } from "playwright-core";

import { executable, skip as withoutChromium } from "./support/chromium.js";
import { within } from "../chromium/support/within.js";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const PYTHON = process.env.EVERTOKEN_PYTHON ?? path.join(ROOT, ".venv/bin/python");
const hasAxios = existsSync(path.join(ROOT, "examples/nest_pair/node_modules/axios"));
const withoutAxios = hasAxios || process.env.CI === "true" ? false : "axios is not installed: npm ci in examples/nest_pair";
const skip = withoutChromium || withoutAxios;
const MINUTE = 60;
const DAY = 86_400;

/** @typedef {import("playwright-core").FrameLocator} Frame */

/** @type {(() => unknown)[]} */
const endings = [];
after(async () => {
  for (const end of endings.reverse()) await end();
});

/** The example on a free port. */
async function start() {
  const probe = net.createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => probe.once("listening", resolve));
  const { port } = /** @type {net.AddressInfo} */ (probe.address());
  await new Promise((resolve) => probe.close(resolve));

  const script = fileURLToPath(new URL("support/example.py", import.meta.url));
  const env = { ...process.env, PYTHONPATH: path.join(ROOT, "src") };
  const example = spawn(PYTHON, [script, String(port)], { env, stdio: ["pipe", "pipe", "inherit"] });
  const lines = createInterface({ input: example.stdout })[Symbol.asyncIterator]();
  endings.push(async () => {
    const ended = new Promise((resolve) => example.once("exit", resolve));
    example.stdin.end();
    await within("the example's end", ended, 25);
  });
  const heard = async (/** @type {string} */ word) =>
    assert.equal((await within(`the example's ${word}`, lines.next(), 30)).value, word);
  await heard("ready");
  const move = async (/** @type {number} */ seconds) => {
    example.stdin.write(`${seconds}\n`);
    await heard("moved");
  };
  return { url: `http://127.0.0.1:${port}`, move };
}

/** Press a button, and wait for the lines that it adds; the newest first. @param {Frame} frame @param {string} name */
async function press(frame, name, count = 1) {
  const lines = frame.locator("li");
  const before = await lines.count();
  await frame.getByRole("button", { name, exact: true }).click();
  await lines.nth(before + count - 1).waitFor();
  return (await lines.allTextContents()).slice(0, count);
}

const refreshes = (/** @type {Frame} */ frame) => frame.locator("output").textContent();

test("the Nest-style pair keeps a user signed in for 30 minutes and 7 days, with its own interceptors and with evertoken's client", { skip, timeout: 120_000 }, async () => {
  const { url, move } = await start();
  const browser = await chromium.launch({ executablePath: executable, args: ["--no-sandbox", "--disable-gpu"] });
  endings.push(() => browser.close());
  const page = await browser.newPage();
  page.setDefaultTimeout(15_000);
  page.on("dialog", (dialog) => void dialog.accept());
  await page.goto(url);
  const asItIs = page.frameLocator("iframe >> nth=0");
  const ours = page.frameLocator("iframe >> nth=1");
  const both = [asItIs, ours];

  for (const frame of both) {
    await frame.locator("html[data-ready]").waitFor();
    assert.deepEqual(await press(frame, "GET /aaa"), ["/aaa: 200 aaa"]);
    assert.deepEqual(await press(frame, "Sign in"), ["signed in"]);
    assert.deepEqual(await press(frame, "GET /bbb"), ["/bbb: 200 bbb for user 1"]);
    assert.equal(await refreshes(frame), "refreshes: 0");
  }

  await move(31 * MINUTE);
  for (const frame of both) {
    assert.deepEqual(await press(frame, "GET /bbb"), ["/bbb: 200 bbb for user 1"], "expired, and nobody notices");
    assert.equal(await refreshes(frame), "refreshes: 1");
  }

  await move(31 * MINUTE);
  for (const frame of both) {
    const three = (await press(frame, "three at once", 3)).sort();
    assert.deepEqual(three, ["1", "2", "3"].map((number) => `/bbb?${number}: 200 bbb for user 1`));
  }
  assert.equal(await refreshes(ours), "refreshes: 2", "three at once make one refresh");

  for (let week = 0; week < 5; week += 1) {
    await move(6 * DAY);
    for (const frame of both) {
      assert.deepEqual(await press(frame, "GET /bbb"), ["/bbb: 200 bbb for user 1"], "used within 7 days, it never ends");
    }
  }

  await move(8 * DAY);
  assert.match((await press(ours, "GET /bbb"))[0], /sign in again/);
  assert.deepEqual(await press(ours, "GET /aaa"), ["/aaa: 200 aaa"], "what is public needs no sign-in");
  for (const frame of both) {
    assert.deepEqual(await press(frame, "Sign in"), ["signed in"]);
    assert.deepEqual(await press(frame, "GET /bbb"), ["/bbb: 200 bbb for user 1"]);
  }
  assert.deepEqual(await press(ours, "Sign out"), ["signed out"]);
  assert.match((await press(ours, "GET /bbb"))[0], /sign in again/);
});
