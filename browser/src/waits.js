// @ts-check
/** Waits that end: with a bound of their own, with a caller's signal, or with a part of the client that does not load. */

import { SessionError } from "./errors.js";

/** @param {number} seconds */
export const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

/** Seconds on a clock that is never set back. */
export const monotonic = () => performance.now() / 1000;

/** @returns {import("./decide/refresher.js").Moment} */
export const now = () => ({ wall: Date.now() / 1000, monotonic: monotonic() });

/** Beyond this a wait was no wait: the machine has slept, or the tab was frozen. */
export const ASLEEP_SECONDS = 5;

/**
 * Wait for work that has bounds of its own, and a little longer; but a store may wait for ever, for the transaction of
 * a tab that was frozen. Time in which this page stood still itself does not count, once.
 * @template T
 * @param {Promise<T>} work
 * @param {number} seconds
 * @returns {Promise<T>}
 */
export const inTime = (work, seconds) =>
  new Promise((resolve, reject) => {
    const longest = seconds + ASLEEP_SECONDS;
    /** @type {ReturnType<typeof setTimeout>} */
    let timer;
    const wait = (/** @type {boolean} */ mayBeLate) => {
      const from = monotonic();
      timer = setTimeout(() => {
        if (mayBeLate && monotonic() - from > longest + ASLEEP_SECONDS) wait(false);
        else reject(new Error(`no answer in ${longest} s from the store or the network`));
      }, longest * 1000);
    };
    wait(true);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });

/**
 * Wait for a flight, or until the caller's own signal gives up; the flight goes on.
 * @template T
 * @param {Promise<T>} flight
 * @param {?AbortSignal} [signal]
 * @returns {Promise<T>}
 */
export const untilAborted = (flight, signal) =>
  new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const abort = () => reject(signal?.reason);
    signal?.addEventListener("abort", abort);
    flight.then(resolve, reject).finally(() => signal?.removeEventListener("abort", abort));
  });

/**
 * A part of the client that not every page needs, loaded when it is.
 *
 * Browsers remember for as long as a page lives that a module could not be had: so it is asked for by another name then,
 * which their error tells.
 * @template T
 * @param {() => Promise<T>} load
 * @returns {() => Promise<T>} rejects with `refresh_unavailable` while it cannot be had
 */
export function lazily(load) {
  /** @type {Promise<T> | undefined} */
  let loading;
  let failures = 0;
  // Without a URL in the error this fails, too; and the cause is told that was first.
  const again = (/** @type {any} */ cause) =>
    import(/* @vite-ignore */ /* webpackIgnore: true */ `${/\w+:\/\/\S+/.exec(cause.message)}?${++failures}`).catch(() => {
      throw cause;
    });
  const refused = (/** @type {any} */ cause) => {
    loading = undefined;
    throw new SessionError("refresh_unavailable", `a part of the client does not load: ${cause.message}`, { cause });
  };
  // The second try has no time of its own: a server may leave that without an answer, too.
  return () => (loading ??= inTime(load().catch(again), ASLEEP_SECONDS).catch(refused));
}
