// @ts-check
/** What takes the place of what a browser or page lacks, and what is weaker by it, in words. */

import { pause } from "../waits.js";

/** @type {Record<string, string>} */
const WEAKER = {
  "no storage": "a reload asks the server anew, or signs out",
  "no Web Locks": "tabs take turns by marks in their storage; this is no secure context",
  "no BroadcastChannel": "a tab learns of a sign-out elsewhere with its next refresh",
  "a token header of its own": "browsers send it along where your API redirects to an origin that allows it",
};

/** What is weaker by it, in words that follow its own. @param {string} what */
export const weaker = (what) => (WEAKER[what] ? `: ${WEAKER[what]}` : "");

/** No refresh takes longer: a lease without Web Locks that is older was left behind by a tab that is gone. */
const LEASE_MS = 15_000;

/**
 * Plain http in a LAN has no Web Locks: a mark in the database takes their place.
 * @template T
 * @param {import("./stores.js").At} at
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
