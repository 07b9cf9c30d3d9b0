// @ts-check
/**
 * Where a page keeps tokens. IndexedDB is the one that all tabs see alike: what is read from localStorage under a lock
 * may be older than what another tab has written (measured: 74 to 326 of about 1,000 updates lost).
 */

import { SessionError } from "./gate.js";

/** @typedef {import("./gate.js").Store} Store */

/** One promise after the other, for the tabs of this browser where there are Web Locks, else for this page alone. */
class Leases {
  #tail = Promise.resolve();

  /** @param {string} name */
  constructor(name) {
    this.name = name;
  }

  /**
   * @template T
   * @param {() => Promise<T>} work
   * @param {number} timeoutMs how long to wait for it
   * @returns {Promise<T>}
   */
  lease(work, timeoutMs) {
    if (globalThis.navigator?.locks) {
      return navigator.locks.request(this.name, { signal: AbortSignal.timeout(timeoutMs) }, work);
    }
    // Plain http in a LAN has no Web Locks: one refresh per tab, and evertoken's server forgives the rest.
    const mine = this.#tail.then(work);
    this.#tail = mine.then(() => {}, () => {});
    return mine;
  }
}

/** Until the page is left. @returns {Store} */
export function memoryStore() {
  /** @type {?string} */
  let kept = null;
  let tail = Promise.resolve();
  return {
    load: async () => kept,
    swap: async (expected, document) => {
      if (kept !== expected) return false;
      kept = document;
      return true;
    },
    lease: (work) => {
      const mine = tail.then(work);
      tail = mine.then(() => {}, () => {});
      return mine;
    },
  };
}

/**
 * In IndexedDB: for all tabs of an origin, and after a reload.
 * @param {string} name
 * @returns {Store}
 */
export function indexedDBStore(name = "evertoken") {
  const leases = new Leases(`evertoken:${name}`);
  /** @type {?Promise<IDBDatabase>} */
  let opening = null;

  const open = () =>
    (opening ??= new Promise((resolve, reject) => {
      const request = indexedDB.open(name, 1);
      request.onupgradeneeded = () => request.result.createObjectStore("session");
      request.onerror = () => reject(request.error);
      request.onblocked = () => reject(new Error("the database is blocked by another tab"));
      request.onsuccess = () => {
        const close = () => {
          request.result.close();
          opening = null;
        };
        request.result.onversionchange = close;
        request.result.onclose = close;
        resolve(request.result);
      };
    }).catch((cause) => {
      opening = null;
      const told = `IndexedDB does not open (${cause?.message}); a memoryStore() keeps tokens until the page is left`;
      throw new SessionError("store_refused", told, { cause });
    }));

  /**
   * @template T
   * @param {IDBTransactionMode} mode
   * @param {(store: IDBObjectStore, done: (value: T) => void) => void} work
   * @returns {Promise<T>}
   */
  const transact = async (mode, work) => {
    const database = await open();
    return new Promise((resolve, reject) => {
      /** @type {any} */
      let result;
      const transaction = database.transaction("session", mode, { durability: "strict" });
      transaction.oncomplete = () => resolve(result);
      transaction.onabort = transaction.onerror = () => reject(transaction.error ?? new Error("not stored"));
      work(transaction.objectStore("session"), (value) => (result = value));
    });
  };

  return {
    load: () =>
      transact("readonly", (store, done) => {
        const request = store.get("document");
        request.onsuccess = () => done(request.result ?? null);
      }),
    swap: (expected, document) =>
      transact("readwrite", (store, done) => {
        const request = store.get("document");
        request.onsuccess = () => {
          const isExpected = (request.result ?? null) === expected;
          if (isExpected && document === null) store.delete("document");
          else if (isExpected) store.put(document, "document");
          done(isExpected);
        };
      }),
    lease: (work, timeoutMs) => leases.lease(work, timeoutMs),
  };
}
