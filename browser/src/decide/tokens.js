// @ts-check
/** Reading what a server answered to a sign-in or a refresh: tokens, an end, or nothing that can be used. Pure. */

import { printable, reasonIn, retryAfter } from "./answers.js";
import { isToken } from "./texts.js";

/** @typedef {import("./speech.js").Speech} Speech */
/**
 * @typedef {{access_token: string, refresh_token: ?string, expires_in: ?number, refresh_expires_in: ?number,
 *   session_id: ?string, csrf_token?: ?string}} Tokens
 * @typedef {{why: string, retry_after_seconds: ?number, is_stale: boolean, is_final: boolean}} Unusable
 * @typedef {{tokens?: Tokens, over?: string, unusable?: Unusable}} Said  one of them
 */

/** Ten years. */
const LONGEST_LIFETIME_SECONDS = 315_360_000;

/**
 * @param {string} why
 * @param {?number} retry_after_seconds
 * @returns {{tokens?: undefined, over?: undefined, unusable: Unusable}}
 */
export const unusable = (why, retry_after_seconds = null, is_final = true, is_stale = false) => ({
  unusable: { why, retry_after_seconds, is_stale, is_final },
});

/**
 * What an answer to a refresh means.
 * @param {Speech} speech
 * @param {number} status
 * @param {?string | undefined} retry its Retry-After header
 * @param {unknown} document its body as JSON, or undefined
 * @param {?string} sessionId the session that was refreshed
 * @returns {Said}
 */
export function readRefresh(speech, status, retry, document, sessionId) {
  const verdict = speech.verdict(status, document, true);
  if (verdict === "over") return { over: reasonIn(speech, document) };
  const wait = retryAfter(retry);
  if (verdict === "stale") return unusable("a newer refresh token has been used", wait, false, true);
  if (status < 200 || status >= 300) {
    const isFinal = status >= 300 && status < 500 && ![408, 425, 429].includes(status);
    return unusable(`the refresh was answered with ${status}`, wait, isFinal);
  }
  const said = readTokens(speech, document);
  return said.tokens && sessionId !== null && (said.tokens.session_id ?? sessionId) !== sessionId
    ? unusable("the answer is for another session")
    : said;
}

/**
 * The tokens in an answer of sign-in or refresh.
 * @param {Speech} speech
 * @param {unknown} document
 * @returns {{tokens: Tokens, unusable?: undefined} | {tokens?: undefined, unusable: Unusable}}
 */
export function readTokens(speech, document) {
  if (document === undefined) return unusable("the answer is not JSON");
  const at = (/** @type {string} */ name) => /** @type {any} */ (speech.find(document, name) ?? null);
  const [access_token, refresh_token, id, lifetime] = ["access_token", "refresh_token", "session_id", "expires_in"].map(at);
  const expires_in = seconds(lifetime);
  const lacking =
    (!isToken(access_token) && "access_token") ||
    (refresh_token !== null && !isToken(refresh_token) && "refresh_token") ||
    // Also where it says that the token has expired already.
    (lifetime !== null && !(/** @type {number} */ (expires_in) > 0) && "expires_in");
  if (lacking) return unusable(`the answer has no usable ${lacking}`);
  return {
    tokens: {
      access_token, refresh_token, expires_in,
      refresh_expires_in: seconds(at("refresh_token_expires_in")),
      session_id: printable(id, 256) === id ? id : null,
    },
  };
}

/** @param {unknown} value @returns {?number} */
const seconds = (value) =>
  Number.isFinite(value) ? Math.min(/** @type {number} */ (value), LONGEST_LIFETIME_SECONDS) : null;
