// @ts-check
/**
 * What a token store keeps of a session, and what one refresh does, decided from it. Pure.
 *
 * @typedef {{server: string, version: number, access_token: ?string, refresh_token: ?string, obtained_at: number,
 *   expires_at: ?number, refresh_expires_at: ?number, session_id: ?string, account: ?string, ended: ?string}} Record
 * @typedef {{session_id?: ?string, account?: ?string, access_token?: ?string, is_signed_in?: boolean,
 *   wants_new?: boolean}} Own
 */

import { isToken } from "./answers.js";

/** @typedef {import("./refresher.js").Outcome} Outcome */
/** @typedef {import("./answers.js").Tokens} Tokens */

const FORMAT = 1;

/** @param {unknown} value */
const isName = (value) => typeof value === "string" && value !== "" && Array.from(value).length <= 2048;

/** In this order they are looked at. @type {[string, (value: unknown) => boolean][]} */
const KINDS = [
  ["server", isName],
  ["version", (value) => Number.isInteger(value) && /** @type {number} */ (value) >= 0],
  ["access_token", isToken],
  ["refresh_token", isToken],
  ["obtained_at", Number.isFinite],
  ["expires_at", Number.isFinite],
  ["refresh_expires_at", Number.isFinite],
  ["session_id", isName],
  ["account", isName],
  ["ended", isName],
];

/**
 * Read a document of a store.
 * @param {string} document
 * @returns {{record: Record}
 *   | {refused: "not_json" | "foreign" | "later_format" | "no_token" | "member", member?: string}}
 */
export function parse(document) {
  let members;
  try {
    members = JSON.parse(document);
  } catch {
    return { refused: "not_json" };
  }
  if (members?.evertoken === undefined) return { refused: "foreign" };
  if (members.evertoken !== FORMAT) return { refused: "later_format" };
  /** @type {any} */
  const record = {};
  for (const [name, isRight] of KINDS) {
    const value = members[name] ?? null;
    record[name] = value ?? (name === "obtained_at" ? 0 : null);
    if ((value !== null || name === "server" || name === "version") && !isRight(value)) {
      return { refused: "member", member: name };
    }
  }
  return record.ended ?? record.access_token ?? record.refresh_token ? { record } : { refused: "no_token" };
}

/** The document of a record. Holds secrets. @param {Record} record */
export const render = (record) => JSON.stringify({ evertoken: FORMAT, ...record });

/** @param {string} reason @param {boolean} is_news @returns {Outcome} */
const ended = (reason, is_news) => ({ ended: { reason, is_news } });

/** Whether its access token is good at a time. @param {Record} record @param {number} wall */
export const isUsable = (record, wall) =>
  record.access_token !== null && (record.expires_at === null || wall < record.expires_at);

/**
 * What the record in the store makes of a refresh that is about to happen; null: refresh.
 * @param {?Record} stored
 * @param {Own} own
 * @param {number} wall
 * @returns {?Outcome}
 */
export function judgeStored(stored, own, wall) {
  const { session_id = null, account = null, access_token = null, is_signed_in = false, wants_new = false } = own;
  if (!stored) return ended(is_signed_in ? "signed_out" : "not_signed_in", false);
  if (stored.ended !== null) return ended(stored.ended, false);
  const isKnown = is_signed_in || session_id !== null || account !== null;
  // The same account signed in anew goes on; with another the user would change silently.
  const isSame = stored.session_id !== null && stored.session_id === session_id;
  if (isKnown && !isSame && stored.account !== account) return ended("signed_in_anew", is_signed_in);
  const isNewer = stored.access_token !== access_token && (access_token !== null || !wants_new);
  if (isUsable(stored, wall) && isNewer) return renewed(stored, false);
  if (stored.refresh_token !== null) return null;
  return wants_new && isUsable(stored, wall)
    ? { failed: { why: "there is no refresh token" } }
    : ended("expired", is_signed_in);
}

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
  expires_at: tokens.expires_in === null ? null : sentAt + tokens.expires_in,
  refresh_expires_at:
    tokens.refresh_expires_in === null ? record.refresh_expires_at : sentAt + tokens.refresh_expires_in,
  session_id: record.session_id ?? tokens.session_id,
});

/** What stays of a session that has ended. @param {Record} record @param {string} reason @returns {Record} */
export const tombstone = (record, reason) => ({
  ...record, version: record.version + 1, ended: reason,
  access_token: null, refresh_token: null, obtained_at: 0, expires_at: null, refresh_expires_at: null,
});

/** The outcome that a record stands for. @param {Record} record @param {boolean} is_fetched @returns {Outcome} */
export const renewed = (record, is_fetched) => ({
  renewed: {
    access_token: /** @type {string} */ (record.access_token),
    expires_at: record.expires_at,
    lifetime_seconds: record.expires_at === null ? null : record.expires_at - record.obtained_at,
    session_id: record.session_id,
    account: record.account,
    is_renewable: record.refresh_token !== null,
    is_fetched,
  },
});
