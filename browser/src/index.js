// @ts-check
export { EVERTOKEN } from "./dialect.js";
export { SessionError } from "./gate.js";
export { createSession, Session } from "./session.js";
export { indexedDBStore, memoryStore } from "./stores.js";
