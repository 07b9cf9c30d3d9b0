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
 * One after the other among all tabs of the origin, where there are Web Locks.
 *
 * A tab that was frozen in mid-refresh holds its lock for as long as it is frozen. So half of the time is spent waiting,
 * and then the lock is taken from it: it compares before it writes, and reads again when it thaws.
 * @template T
 * @param {string} name
 * @param {() => Promise<T>} work
 * @param {number} timeoutMs
 * @returns {Promise<T>}
 */
export async function leased(name, work, timeoutMs) {
  /** @type {Promise<T> | undefined} */
  let working;
  const take = (/** @type {LockOptions} */ how) =>
    navigator.locks.request(`evertoken:${name}`, how, () => (working = work()));
  await take({ signal: AbortSignal.timeout(Math.ceil(timeoutMs / 2)) })
    .catch(() => working ?? take({ steal: true }))
    .catch((error) => {
      // Taken from us in mid-work: the work goes on, and its own end counts.
      if (!working) throw error;
    });
  return /** @type {Promise<T>} */ (/** @type {unknown} */ (working));
}
