// @ts-check
/** What a refresh makes of the record in the store, and what comes after it. Pure. */

import { EMPTY, FORMAT, isOfOne, isUsable, renewed } from "./record.js";

/** @typedef {import("./record.js").Own} Own */
/** @typedef {import("./record.js").Record} Record */
/** @typedef {import("./refresher.js").Outcome} Outcome */
/** @typedef {import("./tokens.js").Tokens} Tokens */

/**
 * What the record in the store makes of a refresh that is about to happen; null: refresh.
 * @param {?Record} stored
 * @param {Own} own
 * @param {number} wall
 * @returns {?Outcome}
 */
export function judgeStored(stored, { session_id, account, access_token, is_signed_in = false, wants_new }, wall) {
  const ended = (/** @type {string} */ reason, is_news = false) => ({ ended: { reason, is_news } });
  if (!stored) return ended(is_signed_in ? "signed_out" : "not_signed_in");
  if (stored.ended) return ended(stored.ended);
  // With another account the user would change silently.
  const isSomebody = is_signed_in || session_id || account;
  if (isSomebody && !isOfOne(stored, { session_id, account })) return ended("signed_in_anew", is_signed_in);
  const isGood = isUsable(stored, wall);
  if (isGood && stored.access_token !== access_token && (access_token || !wants_new)) return renewed(stored);
  if (stored.refresh_token) return null;
  return wants_new && isGood ? { failed: { why: "there is no refresh token" } } : ended("expired", is_signed_in);
}

/** @param {?number} seconds that may not be known @param {number} more */
const sum = (seconds, more) => (seconds === null ? null : seconds + more);

/**
 * The record after a refresh: never without a refresh token where the server keeps the old one.
 * @param {Record} record
 * @param {Tokens} tokens
 * @param {number} sentAt wall time; lifetimes count from it, so that none is overrated
 * @returns {Record}
 */
export const successor = (record, tokens, sentAt) => ({
  ...record,
  version: record.version + 1,
  access_token: tokens.access_token,
  refresh_token: tokens.refresh_token ?? record.refresh_token,
  obtained_at: sentAt,
  expires_at: sum(tokens.expires_in, sentAt),
  refresh_expires_at: sum(tokens.refresh_expires_in, sentAt) ?? record.refresh_expires_at,
  session_id: record.session_id ?? tokens.session_id,
});

/** What stays of a session that has ended. @param {Record} record @param {string} ended @returns {Record} */
export const tombstone = ({ server, version, session_id, account }, ended) => ({
  ...EMPTY, server, version: version + 1, session_id, account, ended,
});

/** The document of a record. Holds secrets. @param {Record} record */
export const render = (record) => JSON.stringify({ evertoken: FORMAT, ...record });
