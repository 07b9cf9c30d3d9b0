// @ts-check
/**
 * The page's view of its own network, and its faults: `fetch` is wrapped here before the client is loaded, which knows
 * nothing of it. The demo's own controls use `real`, so that the timeline shows what the client does and nothing else.
 */

/**
 * @typedef {{kind: "sent", call: string, attempt: number}
 *   | {kind: "answered", call: string, attempt: number, status: number}
 *   | {kind: "refresh", id: number} | {kind: "refreshed", id: number, status: number}} Seen
 *   a status of 0: no answer arrived
 */

const REFRESH = "/auth/refresh";
const API = "/demo/api/";
/** What a browser says, in Chromium's words. */
const NO_NETWORK = "Failed to fetch";

export const real = globalThis.fetch.bind(globalThis);

/** What is wrong with the line. */
export const line = { isOffline: false, losesNextAnswer: false };

/** @type {(seen: Seen) => void} */
let tell = () => {};

/** From now on `listener` is told of every API call and every refresh that this page sends. @param {typeof tell} listener */
export const watchNetwork = (listener) => void (tell = listener);

/** How often a call has been sent, until it is settled. @type {Map<string, number>} */
const attempts = new Map();
let refreshes = 0;

/** Nothing more will be sent for this call. @param {string} call */
export const settled = (call) => void attempts.delete(call);

/**
 * As fetch, on a line that may be down.
 * @param {RequestInfo | URL} input
 * @param {RequestInit} [init]
 */
async function sendOverLine(input, init) {
  if (line.isOffline) throw new TypeError(NO_NETWORK);
  const response = await real(input, init);
  // What was under way when the line went down does not arrive either.
  if (line.isOffline) throw new TypeError(NO_NETWORK);
  return response;
}

/**
 * A refresh. One whose answer is to be lost is committed by the server all the same: it throws the answer away where
 * not even its cookie arrives, which a script here could not prevent.
 * @param {RequestInfo | URL} input
 * @param {RequestInit} [init]
 */
async function sendRefresh(input, init) {
  const id = (refreshes += 1);
  const isLost = line.losesNextAnswer && !line.isOffline;
  line.losesNextAnswer &&= !isLost;
  const headers = new Headers(init?.headers);
  if (isLost) headers.set("X-Demo-Lose", "1");
  tell({ kind: "refresh", id });
  let status = 0;
  try {
    const response = await sendOverLine(input, { ...init, headers });
    if (response.headers.has("X-Demo-Lost")) throw new TypeError(NO_NETWORK);
    status = response.status;
    return response;
  } finally {
    tell({ kind: "refreshed", id, status });
  }
}

/**
 * One of the page's own requests, recognised by its number: the same number once more is the same request sent again.
 * @param {string} call
 * @param {RequestInfo | URL} input
 * @param {RequestInit} [init]
 */
async function sendCall(call, input, init) {
  const attempt = (attempts.get(call) ?? 0) + 1;
  attempts.set(call, attempt);
  tell({ kind: "sent", call, attempt });
  let status = 0;
  try {
    const response = await sendOverLine(input, init);
    status = response.status;
    return response;
  } finally {
    tell({ kind: "answered", call, attempt, status });
  }
}

globalThis.fetch = (input, init) => {
  const url = new URL(input instanceof Request ? input.url : input, location.href);
  const call = url.pathname.startsWith(API) ? url.searchParams.get("request") : null;
  if (url.pathname === REFRESH) return sendRefresh(input, init);
  return call === null ? sendOverLine(input, init) : sendCall(call, input, init);
};
