// @ts-check
/** Doing something again and again, for as long as somebody looks. */

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
