// @ts-check
/**
 * Where a page keeps a session. IndexedDB is the one that all tabs see alike: what is read from localStorage under a
 * lock may be older than what another tab has written (measured: 74 to 326 of about 1,000 updates lost).
 */

import { SessionError } from "../errors.js";
import { pause, inTurn, leased } from "./leases.js";

/** @typedef {import("../gate.js").Store} Store */

/** No refresh takes longer: a lease without Web Locks that is older was left behind by a tab that is gone. */
const LEASE_MS = 15_000;

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
      throw new SessionError("store_refused", `IndexedDB does not open: ${cause?.message}`, { cause });
    }));

  /**
   * One key: what stands there, and what `change` makes of it; undefined: it stays.
   * @param {string} key
   * @param {(found: any) => unknown} [change]
   * @returns {Promise<any>} what stood there
   */
  const at = async (key, change) => {
    const database = await open();
    return new Promise((resolve, reject) => {
      const transaction = database.transaction("session", change ? "readwrite" : "readonly", { durability: "strict" });
      const store = transaction.objectStore("session");
      const request = store.get(key);
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
      transaction.oncomplete = () => resolve(request.result);
      transaction.onabort = transaction.onerror = () => reject(transaction.error ?? new Error("not stored"));
    });
  };

  /**
   * Plain http in a LAN has no Web Locks: a mark in the database takes their place.
   * @template T
   * @param {() => Promise<T>} work
   * @param {number} timeoutMs
   */
  const marked = async (work, timeoutMs) => {
    const giveUpAt = Date.now() + timeoutMs;
    const mine = Math.random();
    const isFree = (/** @type {any} */ mark) => !(mark?.until > Date.now() && mark.until <= Date.now() + LEASE_MS);
    while (!isFree(await at("lease", (mark) => (isFree(mark) ? { mine, until: Date.now() + LEASE_MS } : undefined)))) {
      if (Date.now() > giveUpAt) throw new Error("another tab holds the session");
      await pause(0.02 + 0.03 * Math.random());
    }
    try {
      return await work();
    } finally {
      await at("lease", (mark) => (mark?.mine === mine ? null : undefined));
    }
  };

  const queue = inTurn();
  return {
    load: async () => (await at("document")) ?? null,
    swap: async (expected, document) => {
      const found = await at("document", (now) => ((now ?? null) === expected ? document : undefined));
      return (found ?? null) === expected;
    },
    lease: (work, timeoutMs) =>
      leased(`evertoken:${name}`, work, timeoutMs) ?? queue(() => marked(work, timeoutMs), timeoutMs),
  };
}

/**
 * A store that gives way to memory where it never worked: storage is blocked, or full. Once something has been kept in
 * it, a fault is a passing one: whoever went on in memory then would rotate a token that other tabs hold.
 * @param {Store} store
 * @param {(cause: unknown) => void} onRefused
 * @returns {Store}
 */
export function sheltered(store, onRefused) {
  let inner = store;
  let hasWorked = false;
  /**
   * @template T
   * @param {() => Promise<T>} work
   * @returns {Promise<T>}
   */
  const attempt = async (work) => {
    try {
      const value = await work();
      if (value) hasWorked = true;
      return value;
    } catch (cause) {
      if (hasWorked) throw cause;
      if (inner === store) {
        inner = memoryStore();
        onRefused(cause);
      }
      return work();
    }
  };
  return {
    load: () => attempt(() => inner.load()),
    swap: (expected, document) => attempt(() => inner.swap(expected, document)),
    // Where the storage is gone, tabs may still share a cookie, and Web Locks need no storage.
    lease: (work, timeoutMs) => (globalThis.navigator?.locks ? store : inner).lease(work, timeoutMs),
  };
}
