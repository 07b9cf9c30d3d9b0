// @ts-check
/** The calls to the authorization server, sent around every interceptor. */

import { parseBody } from "./decide/answers.js";

/** A longer answer is none: it would be read into memory whole. */
const LONGEST_ANSWER = 262_144;

/** A call's URL: appended to the base URL if it is a path, itself if it is absolute. @param {string} baseURL @param {string} url */
export const absolute = (baseURL, url) => (url[0] === "/" ? baseURL + url : url);

/**
 * Send one of the API's own calls, once, and have its answer within the deadline.
 * @param {import("./session.js").Session} session
 * @param {import("./decide/speech.js").Call} name
 * @param {?string} token
 * @param {number} timeoutMs
 * @param {{[member: string]: unknown}} [members]
 * @returns {Promise<import("./gate.js").Answer>} rejects where there is none
 */
export async function sendCall({ baseURL, speech }, name, token, timeoutMs, members) {
  const [url, init] = /** @type {[string, RequestInit]} */ (speech?.call(name, token, members));
  const response = await fetch(absolute(baseURL, url), {
    ...init,
    // A page that is reloaded in mid-refresh takes nothing with it.
    keepalive: true,
    redirect: "error",
    cache: "no-store",
    signal: AbortSignal.timeout(Math.ceil(timeoutMs)),
  });
  const bytes = await readUpTo(LONGEST_ANSWER, response);
  if (!bytes) throw new Error("the answer is over 256 KiB");
  return { status: response.status, retryAfter: response.headers.get("Retry-After"), document: parseBody(bytes) };
}

/**
 * The body of an answer, which need not say how long it is; null: longer than that, and not read on.
 * @param {number} longest bytes
 * @param {Response} response
 */
export async function readUpTo(longest, { body }) {
  const chunks = [];
  const reader = body?.getReader();
  for (let read; (read = (await reader?.read())?.value); chunks.push(read)) {
    if ((longest -= read.length) < 0) {
      // Not awaited: a clone's end is told only once the other half has ended too.
      reader?.cancel().catch(() => {});
      return null;
    }
  }
  return new Blob(chunks).arrayBuffer();
}
