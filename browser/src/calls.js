// @ts-check
/** The calls to the authorization server, sent around every interceptor. */

import { parseBody } from "./decide/answers.js";
import { absolute } from "./decide/origins.js";
import { inFull } from "./decide/speech.js";
import { readUpTo } from "./reading.js";

/** A longer answer is none: it would be read into memory whole. */
const LONGEST_ANSWER = 262_144;

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
  const [url, init] = /** @type {[string, RequestInit]} */ (inFull(speech).call(name, token, members));
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
