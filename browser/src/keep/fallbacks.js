// @ts-check
/** What takes the place of what a browser or page lacks. */

import { why } from "../decide/damaged.js";
import { parse } from "../decide/record.js";
import { SessionError } from "../errors.js";
import { pause } from "../waits.js";
import { memoryStore } from "./memory.js";
import { lack } from "./weaknesses.js";

/** @typedef {import("../session.js").Session} Session */

/** Which sessions are in memory because their storage does not work. @type {WeakSet<Session>} */
const sheltered = new WeakSet();

/** Who has been told what tabs cannot share here. @type {WeakSet<Session>} */
const told = new WeakSet();

/** Say what tabs cannot share here, once. @param {Session} session @param {boolean} hasChannel */
export function tellLacks(session, hasChannel) {
  if (told.has(session)) return;
  told.add(session);
  if (!globalThis.navigator?.locks) lack(session, "no Web Locks");
  if (!hasChannel) lack(session, "no BroadcastChannel");
}

/**
 * Memory in the place of a storage that has never worked: it is blocked, or full.
 * @param {Session} session
 * @param {any} cause
 */
export function shelter(session, cause) {
  if (sheltered.has(session)) return;
  sheltered.add(session);
  const { store } = session;
  session.store = memoryStore();
  // Tabs may still share a cookie, and Web Locks need no storage.
  if (globalThis.navigator?.locks) session.store.lease = (work, timeoutMs) => store.lease(work, timeoutMs);
  lack(session, "no storage", ` (${cause.message})`);
}

/**
 * Refuse what stands in a store but is no session of its server.
 * @param {string} document
 * @param {boolean} [forgives] a document that is damaged counts as none
 * @throws {SessionError} it is another program's, or it is damaged and says nothing of an end
 */
export function refuse(document, forgives) {
  if (forgives && !parse(document) && !/^(foreign|later)/.test(why(document).refused)) return;
  throw new SessionError("store_refused", "another program's data is in the store: give another name");
}

/** No refresh takes longer: a lease without Web Locks that is older was left behind by a tab that is gone. */
const LEASE_MS = 15_000;

/**
 * Plain http in a LAN has no Web Locks: a mark in the database takes their place.
 * @template T
 * @param {import("./indexed_db.js").At} at
 * @param {() => Promise<T>} work
 * @param {number} timeoutMs
 */
export async function marked(at, work, timeoutMs) {
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
}
