// @ts-check
/**
 * The calls to the authorization server, written as its dialect wants them and sent around every interceptor.
 */

import { parseBody } from "./decide/dialect.js";

/** @typedef {import("./decide/dialect.js").AuthCall} AuthCall */
/** @typedef {import("./gate.js").Answer} Answer */

/** A longer answer is none: it would be read into memory whole. */
const LONGEST_ANSWER = 256 * 1024;

/** A call's URL: appended to the base URL if it is a path, itself if it is absolute. @param {string} baseURL @param {string} url */
export const absolute = (baseURL, url) => (/^[a-z]+:/i.test(url) ? url : `${baseURL}/${url.replace(/^\/+/, "")}`);

/**
 * Send one call, once, and have its answer within the deadline.
 * @param {string} baseURL
 * @param {AuthCall} call
 * @param {Record<string, unknown>} members what goes into the body besides
 * @param {?string} refreshToken
 * @param {number} timeoutMs
 * @returns {Promise<Answer>} rejects where there is none
 */
export async function sendCall(baseURL, call, members, refreshToken, timeoutMs) {
  const { kind, name = "", scheme } = call.token ?? {};
  const url = new URL(absolute(baseURL, call.url));
  const headers = new Headers({ Accept: "application/json", ...call.headers });
  const body = /** @type {Record<string, any>} */ ({ ...call.body, ...members });
  if (refreshToken !== null) {
    if (kind === "body") body[name] = refreshToken;
    if (kind === "header") headers.set(name, scheme ? `${scheme} ${refreshToken}` : refreshToken);
    if (kind === "query") url.searchParams.set(name, refreshToken);
  }
  const isForm = call.encoding === "form";
  const hasBody = call.method !== "GET";
  if (hasBody) headers.set("Content-Type", isForm ? "application/x-www-form-urlencoded" : "application/json");
  const response = await fetch(url, {
    method: call.method,
    headers,
    body: hasBody ? (isForm ? String(new URLSearchParams(body)) : JSON.stringify(body)) : undefined,
    credentials: call.credentials,
    // A page that is reloaded in mid-refresh takes nothing with it.
    keepalive: true,
    redirect: "error",
    cache: "no-store",
    signal: AbortSignal.timeout(timeoutMs),
  });
  return { status: response.status, retryAfter: response.headers.get("Retry-After"), document: await bounded(response) };
}

/** The body as JSON, unless it is longer than any answer with tokens. @param {Response} response */
async function bounded(response) {
  const bytes = await readUpTo(LONGEST_ANSWER, response);
  if (!bytes) throw new Error("the answer is longer than 256 KiB");
  return parseBody(bytes);
}

/**
 * The body of an answer, which need not say how long it is; null: longer than that, and not read on.
 * @param {number} longest bytes
 * @param {Response} response
 */
export async function readUpTo(longest, response) {
  const chunks = [];
  let length = 0;
  const reader = response.body?.getReader();
  for (let read = await reader?.read(); read && !read.done; read = await reader?.read()) {
    length += read.value.length;
    if (length > longest) {
      // Not awaited: a clone's end is told only once the other half has ended too.
      reader?.cancel().catch(() => {});
      return null;
    }
    chunks.push(read.value);
  }
  return new Blob(chunks).arrayBuffer();
}
