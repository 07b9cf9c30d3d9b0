// @ts-check
/**
 * A session in IndexedDB, the one storage that all tabs see alike: what is read from localStorage under a lock may be
 * older than what another tab has written (measured: 74 to 326 of about 1,000 updates lost).
 */

import { fallbacks } from "../parts.js";
import { leased } from "./leases.js";

/**
 * One key of a database: what stands there, and what `change` makes of it; undefined: it stays.
 * @typedef {(key: string, change?: (found: any) => unknown) => Promise<any>} At  gives what stood there
 */

/**
 * What a request to the database gives. A transaction lives on for what is asked as soon as that is known.
 * @template T
 * @param {IDBRequest<T>} request
 * @returns {Promise<T>}
 */
const given = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

/**
 * In IndexedDB: for all tabs of an origin, and after a reload.
 * @param {string} name
 * @returns {import("../gate.js").Store}
 */
export function indexedDBStore(name = "evertoken") {
  /** @type {?Promise<IDBDatabase>} */
  let opening = null;
  const closed = () => (opening = null);
  const open = async () => {
    const request = indexedDB.open(name, 1);
    request.onupgradeneeded = () => request.result.createObjectStore("session");
    const database = await given(request);
    database.onclose = database.onversionchange = () => {
      database.close();
      closed();
    };
    return database;
  };

  /** @type {At} */
  const at = async (key, change) => {
    opening ??= open();
    opening.catch(closed);
    const transaction = (await opening).transaction("session", change ? "readwrite" : "readonly", { durability: "strict" });
    const store = transaction.objectStore("session");
    const found = await given(store.get(key));
    const next = change?.(found);
    if (next === null) store.delete(key);
    else if (next !== undefined) store.put(next, key);
    return new Promise((resolve, reject) => {
      transaction.oncomplete = () => resolve(found ?? null);
      transaction.onabort = () => reject(transaction.error);
    });
  };

  return {
    load: () => at("document"),
    swap: async (expected, document) =>
      (await at("document", (now) => ((now ?? null) === expected ? document : undefined))) === expected,
    lease: async (work, timeoutMs) =>
      globalThis.navigator?.locks ? leased(name, work, timeoutMs) : (await fallbacks()).marked(at, work, timeoutMs),
  };
}
