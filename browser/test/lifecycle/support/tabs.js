/**
 * Chromium whose tabs are hidden, throttled and frozen as a user's are: in the default context only the tab in front is
 * visible, and none of the switches that keep hidden tabs awake is set.
 */

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { after } from "node:test";

import puppeteer from "puppeteer-core";

import { onPath, ready, rig, skipWithout, unsettled, within } from "./rig.js";

export const skip = skipWithout("chromium");

const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];
const KEEP_AWAKE = [
  "--disable-background-timer-throttling", "--disable-backgrounding-occluded-windows", "--disable-renderer-backgrounding",
];

let launching = null;

const launch = () => puppeteer.launch({ executablePath: onPath("chromium"), args: FLAGS, ignoreDefaultArgs: KEEP_AWAKE });

after(async () => (await launching)?.close());

/**
 * A server, a front, and tabs of one browser: one for all tests of a file, or one of the test's own.
 * @param {import("node:test").TestContext} t
 * @param {Record<string, unknown>} [settings] FakeServer's
 * @param {{isOwnBrowser?: boolean, session?: Record<string, unknown>}} [more] and what sessions are created with
 */
export async function tabsOn(t, settings = {}, { isOwnBrowser = false, session = {} } = {}) {
  const { server, front, page } = await rig(t, settings);
  const browser = await (isOwnBrowser ? launch() : (launching ??= launch()));
  const tabs = [];
  const faults = [];
  t.after(async () => {
    try {
      assert.deepEqual(faults, [], "nothing was thrown outside of a promise that somebody holds");
      for (const tab of tabs) if (!tab.isClosed()) assert.deepEqual(await unsettled(tab), []);
    } finally {
      for (const tab of tabs) if (!tab.isClosed()) await tab.close();
      if (isOwnBrowser) await browser.close();
    }
  });

  /** A tab on the page, in front of all others. @param {(tab: import("puppeteer-core").Page) => unknown} [prepare] */
  const open = async (prepare = () => {}) => {
    const tab = await browser.newPage();
    tabs.push(tab);
    tab.on("pageerror", (error) => faults.push(error.message));
    await prepare(tab);
    await tab.goto(page(session));
    await ready(tab, faults);
    return tab;
  };
  return { server, front, browser, open };
}

/** Let a hidden tab freeze, as Chromium does to save energy: its scripts and timers stand still. */
export async function freeze(tab) {
  tab.cdp ??= await tab.createCDPSession();
  await tab.cdp.send("Page.setWebLifecycleState", { state: "frozen" });
}

export const thaw = (tab) => tab.cdp.send("Page.setWebLifecycleState", { state: "active" });

export const visibility = (tab) => tab.evaluate(() => document.visibilityState);

/** Let a tab that asks nothing live through hours, by its own timers and clocks. */
export async function idle(tab, hours) {
  const cdp = await tab.createCDPSession();
  const isOver = new Promise((resolve) => cdp.once("Emulation.virtualTimeBudgetExpired", resolve));
  await cdp.send("Emulation.setVirtualTimePolicy", { policy: "advance", budget: hours * 3_600_000 });
  await within(`${hours} hours of virtual time`, isOver, 30);
}

/** In a tab's prepare: a wall clock that `passed(seconds)` moves while the machine sleeps. */
export const withMovedClock = (tab) =>
  tab.evaluateOnNewDocument(() => {
    let ahead = 0;
    const really = Date.now.bind(Date);
    Date.now = () => really() + ahead;
    window.passed = (seconds) => (ahead += seconds * 1000);
  });

export const pass = (tab, seconds) => tab.evaluate((many) => void window.passed(many), seconds);

/** The processes of a browser that a test has started, itself first. @param {number} root */
export function tree(root) {
  const children = new Map();
  for (const entry of readdirSync("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      // After the last bracket, for a program's name may hold any: state, then the parent.
      const parent = Number(readFileSync(`/proc/${entry}/stat`, "utf8").split(") ").at(-1).split(" ")[1]);
      children.set(parent, [...(children.get(parent) ?? []), Number(entry)]);
    } catch (error) {
      if (error.code !== "ENOENT" && error.code !== "ESRCH") throw error; // it has ended meanwhile
    }
  }
  const found = [root];
  for (const each of found) found.push(...(children.get(each) ?? []));
  return found;
}
