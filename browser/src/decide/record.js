// @ts-check
/**
 * What a token store keeps of a session, as it is read. Pure.
 *
 * @typedef {{server: string, version: number, access_token: ?string, refresh_token: ?string, obtained_at: number,
 *   expires_at: ?number, refresh_expires_at: ?number, session_id: ?string, account: ?string, ended: ?string}} Record
 * @typedef {{session_id?: ?string, account?: ?string, access_token?: ?string, is_signed_in?: boolean,
 *   wants_new?: boolean}} Own
 */

import { isToken, parseJSON } from "./texts.js";

/** @typedef {import("./refresher.js").Outcome} Outcome */

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

/** Whether its access token is good at a time. @param {Record} record @param {number} wall */
export const isUsable = ({ access_token, expires_at }, wall) =>
  access_token !== null && (expires_at === null || wall < expires_at);

/** Whether two are of one user: the same account that has signed in anew goes on. @param {Own} one @param {Own} other */
export const isOfOne = (one, other) =>
  (one.account ?? null) === (other.account ?? null) || (!!one.session_id && one.session_id === other.session_id);

/** The outcome that a record stands for. @param {Record} record @returns {Outcome} */
export const renewed = (record, is_fetched = false) => ({
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
