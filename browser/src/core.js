// @ts-check
export { EVERTOKEN, EVERTOKEN_COOKIE } from "./dialect.js";
export { SessionError } from "./errors.js";
export { createSession, Session } from "./session.js";
export { indexedDBStore, memoryStore } from "./stores.js";
