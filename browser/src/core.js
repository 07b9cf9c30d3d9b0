// @ts-check
export { SessionError } from "./errors.js";
export { createSession, Session } from "./session.js";
export { indexedDBStore, memoryStore } from "./keep/stores.js";
