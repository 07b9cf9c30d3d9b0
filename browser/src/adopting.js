// @ts-check
/** Tokens that other code has kept: a user whom an application's earlier code signed in need not sign in for ours. */

import { EMPTY } from "./decide/record.js";
import { isToken } from "./decide/texts.js";
import { write } from "./keep/writing.js";

/** @typedef {import("./session.js").Session} Session */

/** What `setItem(name, undefined)` and the like have left in many a storage. */
const WORDS_FOR_NOTHING = ["undefined", "null"];

/** @param {unknown} value @returns {?string} */
const token = (value) => (isToken(value) && !WORDS_FOR_NOTHING.includes(value) ? value : null);

/**
 * Go on with tokens that were kept elsewhere, as `session.restore()` does with its own; nothing is asked of the server.
 *
 * They are taken over only where the session's store holds nothing, so this may stand in every page; once it has resolved
 * they belong to the session, and are to be removed where they were: a copy goes stale with the next refresh, and whoever
 * shows a stale refresh token ends the session. Without a refresh token that could be one, this is `session.restore()`.
 * @param {Session} session
 * @param {{access_token?: ?string, refresh_token?: ?string, expires_in?: ?number}} kept  as they were found; expires_in:
 *   seconds from now for which the access token is good, where that is known; without, it is used until it is refused
 * @returns {Promise<boolean>} whether somebody is signed in
 * @throws {TypeError} the dialect keeps the refresh token in a cookie: `session.restore()` finds it there
 */
export async function adopt(session, { access_token, refresh_token, expires_in }) {
  const { isCookie } = await session.ready();
  if (isCookie) throw new TypeError("the refresh token is in a cookie that the browser keeps: session.restore() finds it");
  const found = { access_token: token(access_token), refresh_token: token(refresh_token) };
  if (found.refresh_token === null) return session.restore();
  const { gate, baseURL: server, timeoutSeconds } = session;
  const obtained_at = Date.now() / 1000;
  const isTimed = typeof expires_in === "number" && Number.isFinite(expires_in);
  const expires_at = isTimed ? obtained_at + /** @type {number} */ (expires_in) : null;
  // First of all, so that a storage that does not work has given way to memory, and a foreign one is told.
  await gate.read(true);
  await session.store.lease(async () => {
    const [document, stored] = await gate.read(true);
    if (!stored) await write(gate, document, { ...EMPTY, server, version: 1, ...found, obtained_at, expires_at });
  }, timeoutSeconds * 1000);
  return session.restore();
}
