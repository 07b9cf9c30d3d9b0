// @ts-check
/** Reading what a server answered to a request: whether its access token was refused, and when to ask again. Pure. */

import { parseJSON } from "./texts.js";

/** @typedef {import("./speech.js").Speech} Speech */

/** A longer answer is not looked into: it is data, not a refusal. */
export const LONGEST_BODY_READ = 1024 * 1024;

/**
 * The text, where it is one without control characters and halves of surrogate pairs.
 * @param {unknown} text
 * @param {number} longest
 */
export const printable = (text, longest) =>
  typeof text === "string" && text && !/(?! )[\p{C}\p{Z}]/u.test(text) ? [...text].slice(0, longest).join("") : null;

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
export const reasonIn = (speech, document) => printable(speech.find(document, "reason"), 64) ?? "unknown";

/** The seconds of a Retry-After header; null without one, or for a date. @param {?string | undefined} text */
export const retryAfter = (text) => (/^\s*\d{1,9}\s*$/.test(text ?? "") ? Number(text) : null);
