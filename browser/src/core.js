// @ts-check
export { EVERTOKEN, EVERTOKEN_COOKIE } from "./decide/dialect.js";
export { SessionError } from "./errors.js";
export { createSession, Session } from "./session.js";
export { indexedDBStore, memoryStore } from "./keep/stores.js";
