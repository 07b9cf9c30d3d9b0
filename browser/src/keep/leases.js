// @ts-check
/** Who may refresh now: one page of a browser, by a Web Lock, or one call of a page. */

/**
 * One after the other in this page.
 * @returns {import("../gate.js").Store["lease"]}
 */
export function inTurn() {
  /** @type {Promise<unknown>} */
  let tail = Promise.resolve();
  return (work) => {
    const mine = tail.then(work);
    tail = mine.catch(() => "told to whoever holds it");
    return mine;
  };
}

/**
 * One after the other among all tabs of the origin; null where there are no Web Locks.
 *
 * A tab that was frozen in mid-refresh holds its lock for as long as it is frozen. So half of the time is spent waiting,
 * and then the lock is taken from it: it compares before it writes, and reads again when it thaws.
 * @template T
 * @param {string} name
 * @param {() => Promise<T>} work
 * @param {number} timeoutMs
 * @returns {?Promise<T>}
 */
export function leased(name, work, timeoutMs) {
  const { locks } = globalThis.navigator ?? {};
  if (!locks) return null;
  /** @type {Promise<T> | undefined} */
  let working;
  const take = (/** @type {LockOptions} */ how) =>
    locks.request(`evertoken:${name}`, how, () => (working = work())).catch((error) => {
      // Taken from us in mid-work: the work goes on, and its own end counts.
      if (working) return working;
      throw error;
    });
  return take({ signal: AbortSignal.timeout(timeoutMs / 2) }).catch((error) => {
    if (working || error.name !== "TimeoutError") throw error;
    return take({ steal: true });
  });
}
