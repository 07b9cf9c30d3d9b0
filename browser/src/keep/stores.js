// @ts-check
/**
 * Where a page keeps a session. IndexedDB is the one that all tabs see alike: what is read from localStorage under a
 * lock may be older than what another tab has written (measured: 74 to 326 of about 1,000 updates lost).
 */

import { fallbacks } from "../parts.js";
import { inTurn, leased } from "./leases.js";

/** @typedef {import("../gate.js").Store} Store */
/**
 * One key of a database: what stands there, and what `change` makes of it; undefined: it stays.
 * @typedef {(key: string, change?: (found: any) => unknown) => Promise<any>} At  gives what stood there
 */

/** Until the page is left. @returns {Store} */
export function memoryStore() {
  /** @type {?string} */
  let kept = null;
  return {
    load: async () => kept,
    swap: async (expected, document) => {
      if (kept !== expected) return false;
      kept = document;
      return true;
    },
    lease: inTurn(),
  };
}

/**
 * In IndexedDB: for all tabs of an origin, and after a reload.
 * @param {string} name
 * @returns {Store}
 */
export function indexedDBStore(name = "evertoken") {
  /** @type {?Promise<IDBDatabase>} */
  let opening = null;
  const closed = () => (opening = null);

  /** @type {() => Promise<IDBDatabase>} */
  const open = () =>
    new Promise((resolve, reject) => {
      const request = indexedDB.open(name, 1);
      request.onupgradeneeded = () => request.result.createObjectStore("session");
      request.onerror = () => reject(request.error);
      request.onsuccess = () => {
        const database = request.result;
        database.onclose = closed;
        database.onversionchange = () => {
          database.close();
          closed();
        };
        resolve(database);
      };
    });

  /** @type {At} */
  const at = async (key, change) => {
    opening ??= open();
    opening.catch(closed);
    const transaction = (await opening).transaction("session", change ? "readwrite" : "readonly", { durability: "strict" });
    const store = transaction.objectStore("session");
    const request = store.get(key);
    return new Promise((resolve, reject) => {
      request.onsuccess = () => {
        try {
          const next = change?.(request.result);
          if (next === null) store.delete(key);
          else if (next !== undefined) store.put(next, key);
        } catch (error) {
          reject(error);
          transaction.abort();
        }
      };
      transaction.oncomplete = () => resolve(request.result ?? null);
      transaction.onabort = transaction.onerror = () => reject(transaction.error ?? new Error("not stored"));
    });
  };

  const queue = inTurn();
  return {
    load: () => at("document"),
    swap: async (expected, document) =>
      (await at("document", (now) => ((now ?? null) === expected ? document : undefined))) === expected,
    lease: (work, timeoutMs) =>
      leased(name, work, timeoutMs) ??
      queue(async () => (await fallbacks()).marked(at, work, timeoutMs), timeoutMs),
  };
}

/**
 * A store that gives way to memory where it never worked: storage is blocked, or full. Once something has been kept in
 * it, a fault is a passing one: whoever went on in memory then would rotate a token that other tabs hold.
 * @param {Store} store
 * @param {(cause: any) => void} onRefused
 * @returns {Store}
 */
export function sheltered(store, onRefused) {
  let inner = store;
  let hasWorked = false;
  const attempt = async (/** @type {"load" | "swap"} */ name, /** @type {[any, any]} */ ...given) => {
    try {
      const value = await inner[name](...given);
      if (value) hasWorked = true;
      return value;
    } catch (cause) {
      if (hasWorked) throw cause;
      if (inner === store) {
        inner = memoryStore();
        onRefused(cause);
      }
      return inner[name](...given);
    }
  };
  return {
    load: /** @type {any} */ (attempt.bind(null, "load")),
    swap: /** @type {any} */ (attempt.bind(null, "swap")),
    // Where the storage is gone, tabs may still share a cookie, and Web Locks need no storage.
    lease: (work, timeoutMs) => (globalThis.navigator?.locks ? store : inner).lease(work, timeoutMs),
  };
}
