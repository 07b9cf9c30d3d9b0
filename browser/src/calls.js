// @ts-check
/** The calls to the authorization server, sent around every interceptor. */

import { parseBody } from "./decide/answers.js";

/** A longer answer is none: it would be read into memory whole. */
const LONGEST_ANSWER = 256 * 1024;

/** A call's URL: appended to the base URL if it is a path, itself if it is absolute. @param {string} baseURL @param {string} url */
export const absolute = (baseURL, url) => (/^[a-z]+:/i.test(url) ? url : `${baseURL}/${url.replace(/^\/+/, "")}`);

/**
 * Send one call, once, and have its answer within the deadline.
 * @param {string} baseURL
 * @param {?[string, RequestInit]} call null: the API has no such call
 * @param {number} timeoutMs
 * @returns {Promise<import("./gate.js").Answer>} rejects where there is none
 */
export async function sendCall(baseURL, call, timeoutMs) {
  if (!call) throw new TypeError("the API has no such call");
  const [url, init] = call;
  const response = await fetch(absolute(baseURL, url), {
    ...init,
    // A page that is reloaded in mid-refresh takes nothing with it.
    keepalive: true,
    redirect: "error",
    cache: "no-store",
    signal: AbortSignal.timeout(Math.ceil(timeoutMs)),
  });
  const bytes = await readUpTo(LONGEST_ANSWER, response);
  if (!bytes) throw new Error("the answer is longer than 256 KiB");
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
  for (let read = await reader?.read(); read && !read.done; read = await reader?.read()) {
    chunks.push(read.value);
    if ((longest -= read.value.length) < 0) {
      // Not awaited: a clone's end is told only once the other half has ended too.
      reader?.cancel().catch(() => {});
      return null;
    }
  }
  return new Blob(chunks).arrayBuffer();
}
