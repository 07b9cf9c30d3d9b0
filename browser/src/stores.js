// @ts-check
/** Where a page keeps a session, if not where it does by itself. */

export { indexedDBStore } from "./keep/indexed_db.js";
export { memoryStore } from "./keep/memory.js";
export { localStorageStore, sessionStorageStore } from "./keep/web_storage.js";
