// @ts-check
/** Doing something again and again, for as long as somebody looks. */

import { SessionError } from "../client.js";

/**
 * Do the work now, and again so long after it has ended; not while the tab is hidden, and at once when it is shown.
 * @param {AbortSignal} signal ends it
 * @param {number} everyMs
 * @param {() => Promise<unknown>} work says itself what went wrong
 */
export async function whileVisible(signal, everyMs, work) {
  while (!signal.aborted) {
    if (document.visibilityState === "visible") await work();
    await pauseOrShown(signal, everyMs);
  }
}

/**
 * Keep a page up to date. One failure is told once, however often it is met, and taken back when it is over.
 * @param {import("../shell.js").Page} page
 * @param {number} everyMs
 * @param {() => Promise<unknown>} refresh
 */
export function keepUpToDate(page, everyMs, refresh) {
  let isDown = false;
  const look = () =>
    page.attempt(async () => {
      try {
        await refresh();
        if (isDown) page.say("");
        isDown = false;
      } catch (error) {
        if (isDown && !(error instanceof SessionError && error.code === "signed_out")) return;
        isDown = true;
        throw error;
      }
    });
  void whileVisible(page.signal, everyMs, look);
}

/** @param {AbortSignal} signal @param {number} ms @returns {Promise<void>} */
const pauseOrShown = (signal, ms) =>
  new Promise((resolve) => {
    const listening = new AbortController();
    const done = () => {
      clearTimeout(timer);
      listening.abort();
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done, { signal: listening.signal });
    document.addEventListener("visibilitychange", done, { signal: listening.signal });
    if (signal.aborted) done();
  });
