// @ts-check
/**
 * Tokens in localStorage or sessionStorage, for pages whose other code reads them there. IndexedDB is sounder.
 *
 * A tab may read a value of localStorage that is older than what another tab has written under the same lock, for
 * browsers keep a copy in each process. So whoever had to wait for the lease waits for the change, too.
 */

import { pause } from "../waits.js";
import { inTurn, leased } from "./leases.js";

/** @typedef {import("../gate.js").Store} Store */

/** How long a change made by the holder before us may take to arrive; longer than any that was measured. */
const ARRIVES_WITHIN_MS = 100;

/**
 * In localStorage: for all tabs of an origin, and after a reload. Every script of the origin can read it.
 * @param {string} [name]
 * @returns {Store}
 */
export const localStorageStore = (name = "evertoken") => {
  const queue = inTurn();
  return {
    ...kept(() => localStorage, name),
    lease: (work, timeoutMs) => {
      const began = performance.now();
      const settled = async () => {
        // At once: nobody was before us.
        if (performance.now() - began > 2) await changed(name);
        return work();
      };
      // Without Web Locks two tabs may refresh at the same time; a moment apart, the second one finds the first's tokens.
      return globalThis.navigator?.locks
        ? leased(name, settled, timeoutMs)
        : queue(() => pause(Math.random() * 0.15).then(work), 0);
    },
  };
};

/**
 * In sessionStorage: for one tab, and after a reload. A tab that is duplicated takes a copy along, and two tabs then
 * use one session without knowing of each other: prefer another store where that matters.
 * @param {string} [name]
 * @returns {Store}
 */
export const sessionStorageStore = (name = "evertoken") => ({ ...kept(() => sessionStorage, name), lease: inTurn() });

/**
 * @param {() => Storage} storage
 * @param {string} name
 * @returns {Pick<Store, "load" | "swap">}
 */
const kept = (storage, name) => ({
  load: async () => storage().getItem(name),
  swap: async (expected, document) => {
    if (storage().getItem(name) !== expected) return false;
    if (document === null) storage().removeItem(name);
    else storage().setItem(name, document);
    return true;
  },
});

/** Until another tab's change has arrived, if one does. @param {string} name */
const changed = (name) =>
  new Promise((/** @type {(value: void) => void} */ resolve) => {
    const hear = (/** @type {StorageEvent} */ { key }) => key === name && done();
    const waiting = setTimeout(() => done(), ARRIVES_WITHIN_MS);
    const done = () => {
      clearTimeout(waiting);
      removeEventListener("storage", hear);
      resolve();
    };
    addEventListener("storage", hear);
  });
