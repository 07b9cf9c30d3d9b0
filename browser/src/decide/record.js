// @ts-check
/**
 * What a token store keeps of a session, and what one refresh does, decided from it. Pure.
 *
 * @typedef {{server: string, version: number, access_token: ?string, refresh_token: ?string, obtained_at: number,
 *   expires_at: ?number, refresh_expires_at: ?number, session_id: ?string, account: ?string, ended: ?string}} Record
 * @typedef {{session_id?: ?string, account?: ?string, access_token?: ?string, is_signed_in?: boolean,
 *   wants_new?: boolean}} Own
 */

import { isToken, parseJSON } from "./answers.js";

/** @typedef {import("./refresher.js").Outcome} Outcome */
/** @typedef {import("./answers.js").Tokens} Tokens */

export const FORMAT = 1;

/**
 * What is not there; of the server and the version that is wrong. In this order a document's members are looked at.
 * @type {Record}
 */
export const EMPTY = {
  server: "", version: -1, access_token: null, refresh_token: null, obtained_at: 0, expires_at: null,
  refresh_expires_at: null, session_id: null, account: null, ended: null,
};

/** Whether a member may be so. @param {string} name @param {any} value */
export function isRight(name, value) {
  if (value === null && EMPTY[/** @type {keyof Record} */ (name)] === null) return true;
  if (/_token$/.test(name)) return isToken(value);
  if (/_at$/.test(name)) return Number.isFinite(value);
  if (name === "version") return Number.isInteger(value) && value >= 0;
  return typeof value === "string" && value !== "" && [...value].length <= 2048;
}

/**
 * Read a document of a store.
 * @param {string} document
 * @returns {?Record} null: it is none, which `why` in damaged.js tells more of
 */
export function parse(document) {
  const members = parseJSON(() => document);
  if (members?.evertoken !== FORMAT) return null;
  /** @type {any} */
  const record = { ...EMPTY };
  for (const name in EMPTY) {
    record[name] = members[name] ?? record[name];
    if (!isRight(name, record[name])) return null;
  }
  return record.ended ?? record.access_token ?? record.refresh_token ? record : null;
}

/** The document of a record. Holds secrets. @param {Record} record */
export const render = (record) => JSON.stringify({ evertoken: FORMAT, ...record });

/** Whether its access token is good at a time. @param {Record} record @param {number} wall */
export const isUsable = ({ access_token, expires_at }, wall) =>
  access_token !== null && (expires_at === null || wall < expires_at);

/** Whether two are of one user: the same account that has signed in anew goes on. @param {Own} one @param {Own} other */
export const isOfOne = (one, other) =>
  (one.account ?? null) === (other.account ?? null) || (!!one.session_id && one.session_id === other.session_id);

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

/** The outcome that a record stands for. @param {Record} record @returns {Outcome} */
export const renewed = (record, is_fetched = false) => ({
  renewed: {
    access_token: /** @type {string} */ (record.access_token),
    expires_at: record.expires_at,
    lifetime_seconds: sum(record.expires_at, -record.obtained_at),
    session_id: record.session_id,
    account: record.account,
    is_renewable: record.refresh_token !== null,
    is_fetched,
  },
});
