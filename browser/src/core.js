// @ts-check
export { SessionError } from "./errors.js";
export { createSession, Session } from "./session.js";
export { indexedDBStore } from "./keep/indexed_db.js";
