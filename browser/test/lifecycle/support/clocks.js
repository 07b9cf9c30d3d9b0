/** Chromium whose clocks the tests set: what a page takes for the time, and its timers, by playwright's clock. */

import assert from "node:assert/strict";
import { after } from "node:test";

import { chromium } from "playwright-core";

import { onPath, ready, rig, skipWithout, unsettled, within } from "./rig.js";

export const skip = skipWithout("chromium");

let launching = null;

after(async () => (await launching)?.close());

/**
 * A server, a front, and a profile whose pages share one clock.
 * @param {import("node:test").TestContext} t
 * @param {Record<string, unknown>} [settings] FakeServer's
 * @param {{session?: Record<string, unknown>, wrongBySeconds?: number, initScript?: () => void}} [more]
 *   what sessions are created with, how far the pages' clock is off, and what runs in a page before its own
 */
export async function clocksOn(t, settings = {}, { session = {}, wrongBySeconds = 0, initScript } = {}) {
  const { server, front, page } = await rig(t, settings);
  launching ??= chromium.launch({ executablePath: onPath("chromium"), args: ["--no-sandbox", "--disable-gpu"] });
  const context = await (await launching).newContext();
  if (initScript) await context.addInitScript(initScript);
  await context.clock.install({ time: Date.now() + wrongBySeconds * 1000 });
  const tabs = [];
  const faults = [];
  t.after(async () => {
    try {
      assert.deepEqual(faults, [], "nothing was thrown outside of a promise that somebody holds");
      for (const tab of tabs) assert.deepEqual(await unsettled(tab), []);
    } finally {
      await context.close();
    }
  });

  const open = async () => {
    const tab = await context.newPage();
    tabs.push(tab);
    tab.on("pageerror", (error) => faults.push(error.message));
    await tab.goto(page(session));
    await ready(tab, faults);
    return tab;
  };
  /** The machine runs on for so long: time passes for server and pages, and what was due meanwhile fires once. */
  const passes = async (seconds) => {
    await server.move(seconds);
    await context.clock.fastForward(seconds * 1000);
  };
  /** The machine sleeps for so long: on waking the wall clock is right, and the timers do not know. */
  const sleeps = async (seconds) => {
    await server.move(seconds);
    await setClock(seconds);
  };
  /** Somebody sets the pages' wall clock, by so many seconds; timers go on as before. */
  const setClock = async (seconds) => {
    const shown = await tabs[0].evaluate(() => Date.now());
    await context.clock.setSystemTime(shown + seconds * 1000);
  };
  return { server, front, context, open, passes, sleeps, setClock };
}

/** Wait until so many polls of a tab have been answered, for at most ten seconds; all of them. */
export async function polls(tab, count) {
  await tab.waitForFunction((many) => window.polled.length >= many, count, { timeout: 10_000, polling: 20 });
  return tab.evaluate(() => window.polled);
}

/** The network is there, and every tab has been told. */
export async function online(context, tabs) {
  const isTold = tabs.map((tab) => tab.evaluate(() => new Promise((resolve) => addEventListener("online", resolve))));
  await context.setOffline(false);
  await within("the online event", Promise.all(isTold));
}
