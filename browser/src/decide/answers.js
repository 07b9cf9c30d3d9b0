// @ts-check
/** Reading what the authorization server answered: new tokens, an end, or nothing that can be used. Pure. */

import { find, isPrintable, reasonIn, refreshVerdict } from "./dialect.js";

/** @typedef {import("./dialect.js").Dialect} Dialect */
/**
 * @typedef {{access_token: string, refresh_token: ?string, expires_in: ?number, refresh_expires_in: ?number,
 *   session_id: ?string, csrf_token?: ?string}} Tokens
 * @typedef {{why: string, retry_after_seconds: ?number, is_stale: boolean, is_final: boolean}} Unusable
 * @typedef {{tokens: Tokens} | {over: string} | {unusable: Unusable}} Said
 */

const LONGEST_LIFETIME_SECONDS = 10 * 365 * 86_400;

/**
 * Whether this may go into a header: visible ASCII, at most 16 KiB.
 * @param {unknown} value
 * @returns {value is string}
 */
export const isToken = (value) => typeof value === "string" && /^[!-~]{1,16384}$/.test(value);

/** @param {string} why @returns {{unusable: Unusable}} */
const unusable = (why, retry_after_seconds = /** @type {?number} */ (null), is_final = true, is_stale = false) => ({
  unusable: { why, retry_after_seconds, is_stale, is_final },
});

/** The seconds of a Retry-After header; null without one, or for a date. @param {?string | undefined} text */
export const retryAfter = (text) => (/^\d{1,9}$/.test((text ?? "").trim()) ? Number(text) : null);

/**
 * What an answer to a refresh means.
 * @param {Dialect} dialect
 * @param {number} status
 * @param {?string | undefined} retry its Retry-After header
 * @param {unknown} document its body as JSON, or undefined
 * @param {?string} sessionId the session that was refreshed
 * @returns {Said}
 */
export function readRefresh(dialect, status, retry, document, sessionId) {
  const verdict = refreshVerdict(dialect, status, document);
  if (verdict === "over") return { over: reasonIn(dialect, document) };
  const wait = retryAfter(retry);
  if (verdict === "stale") return unusable("a newer refresh token has been used", wait, false, true);
  if (status < 200 || status >= 300) {
    const isFinal = status >= 300 && status < 500 && ![408, 425, 429].includes(status);
    return unusable(`the refresh was answered with ${status}`, wait, isFinal);
  }
  const said = readTokens(dialect, document);
  if ("tokens" in said && sessionId !== null && (said.tokens.session_id ?? sessionId) !== sessionId) {
    return unusable("the answer is for another session");
  }
  return said;
}

/**
 * The tokens in an answer of sign-in or refresh.
 * @param {Dialect} dialect
 * @param {unknown} document
 * @returns {{tokens: Tokens} | {unusable: Unusable}}
 */
export function readTokens(dialect, document) {
  if (document === undefined) return unusable("the answer is not JSON");
  const { tokens: places, lifetime_seconds } = dialect;
  const at = (/** @type {string} */ name) => find(document, places[name]) ?? null;
  const lacks = (/** @type {string} */ name) => unusable(`the answer has no usable ${name} at ${places[name]}`);
  const access_token = at("access_token");
  if (!isToken(access_token)) return lacks("access_token");
  const refresh_token = at("refresh_token");
  if (refresh_token !== null && !isToken(refresh_token)) return lacks("refresh_token");
  const lifetime = at("expires_in") ?? lifetime_seconds;
  const expires_in = seconds(lifetime);
  // Also where it says that the token has expired already.
  if (lifetime !== null && !(expires_in !== null && expires_in > 0)) return lacks("expires_in");
  const id = at("session_id");
  return {
    tokens: {
      access_token, refresh_token, expires_in,
      refresh_expires_in: seconds(at("refresh_token_expires_in")),
      session_id: isPrintable(id) && Array.from(id).length <= 256 ? id : null,
    },
  };
}

/** A number of seconds; some servers write it as text. @param {unknown} value @returns {?number} */
function seconds(value) {
  if (typeof value === "string" && /^\d{1,11}$/.test(value)) value = Number(value);
  return Number.isFinite(value) ? Math.min(/** @type {number} */ (value), LONGEST_LIFETIME_SECONDS) : null;
}
