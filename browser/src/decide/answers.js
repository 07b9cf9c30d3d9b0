// @ts-check
/** Reading what a server answered: new tokens, an end, a refusal, or nothing that can be used. Pure. */

/** @typedef {import("./speech.js").Speech} Speech */
/**
 * @typedef {{access_token: string, refresh_token: ?string, expires_in: ?number, refresh_expires_in: ?number,
 *   session_id: ?string, csrf_token?: ?string}} Tokens
 * @typedef {{why: string, retry_after_seconds: ?number, is_stale: boolean, is_final: boolean}} Unusable
 * @typedef {{tokens?: Tokens, over?: string, unusable?: Unusable}} Said  one of them
 */

/** A longer answer is not looked into: it is data, not a refusal. */
export const LONGEST_BODY_READ = 1024 * 1024;
/** Ten years. */
const LONGEST_LIFETIME_SECONDS = 315_360_000;

/**
 * Whether this may go into a header: visible ASCII, at most 16 KiB.
 * @param {unknown} value
 * @returns {value is string}
 */
export const isToken = (value) => typeof value === "string" && /^[!-~]{1,16384}$/.test(value);

/**
 * The text, where it is one without control characters and halves of surrogate pairs.
 * @param {unknown} text
 * @param {number} longest
 */
const printable = (text, longest) =>
  typeof text === "string" && text && !/(?! )[\p{C}\p{Z}]/u.test(text) ? [...text].slice(0, longest).join("") : null;

/** What a text says as JSON; undefined: nothing. @param {() => string} text */
export function parseJSON(text) {
  try {
    return JSON.parse(text());
  } catch {
    return undefined;
  }
}

/** The body as JSON, or undefined. @param {?ArrayBuffer | Uint8Array} bytes */
export const parseBody = (bytes) =>
  parseJSON(() => new TextDecoder("utf-8", { fatal: true }).decode(/** @type {BufferSource} */ (bytes)));

/**
 * Whether the body has to be read to judge an answer; otherwise a stream stays a stream.
 * @param {Speech} speech
 * @param {number} status
 * @param {?string} type its Content-Type
 * @param {?string} length its Content-Length
 */
export const wantsBody = (speech, status, type, length) =>
  speech.looksInto(status) &&
  /^\s*(application\/|[^;]+\+)json\s*(;|$)/i.test(type ?? "") &&
  !(/^\d+$/.test(String(length)) && Number(length) > LONGEST_BODY_READ);

/**
 * Whether an answer is a refusal of the access token.
 * @param {Speech} speech
 * @param {number} status
 * @param {unknown} document
 * @returns {?{over: ?string}} over: the session is, for that reason
 */
export function refusal(speech, status, document) {
  const verdict = speech.verdict(status, document);
  return verdict === "accepted" ? null : { over: verdict === "over" ? reasonIn(speech, document) : null };
}

/** Why the session is over, as the answer says. @param {Speech} speech @param {unknown} document */
const reasonIn = (speech, document) => printable(speech.find(document, "reason"), 64) ?? "unknown";

/** The seconds of a Retry-After header; null without one, or for a date. @param {?string | undefined} text */
export const retryAfter = (text) => (/^\s*\d{1,9}\s*$/.test(text ?? "") ? Number(text) : null);

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
