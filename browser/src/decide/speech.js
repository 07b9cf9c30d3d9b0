// @ts-check
/**
 * How an API speaks: how its requests carry the access token, and how its calls and their answers are spelled. Pure.
 * Evertoken's own, written out; that with both tokens in the body, and what another API's dialect says, stand in modules
 * that are loaded only where they are wanted.
 *
 * @typedef {"accepted" | "expired" | "over" | "stale"} Verdict
 * @typedef {"login" | "refresh" | "logout" | "csrf"} Call
 * @typedef {import("./carrying.js").Carrying} Carrying
 * @typedef {Carrying & Spelling} Speech
 */
/**
 * @typedef {object} Spelling
 * @property {boolean} isRepeatable a refresh token may be sent again where its answer was lost
 * @property {{[member: string]: unknown}} more what a sign-in says besides
 * @property {(call: Call, token: ?string, members?: {[member: string]: unknown}) => ?[string, RequestInit]} call
 *   its URL, and how it is sent; null: there is no such call
 * @property {(document: any, name: string) => unknown} find what an answer says by that name of ours
 * @property {(status: number) => boolean} looksInto whether an answer's body may say that its token was refused
 * @property {(status: number, document: any, isRefresh?: boolean) => Verdict} verdict of a resource's answer, or a
 *   refresh's; accepted if that is worth looking for tokens in it
 */

import { cookieCarrying } from "./carrying.js";

/** Evertoken's own, with its refresh token in a cookie. @type {Speech} */
export const cookieSpeech = {
  ...cookieCarrying,
  isRepeatable: true,
  more: { delivery: "cookie" },
  call: (name, token, members = {}) => [`/auth/${name}`, {
    credentials: "include",
    ...(name !== "csrf" && {
      method: "POST",
      headers: { "Content-Type": "application/json", ...(token && { "X-CSRF-Token": token }) },
      body: JSON.stringify(members),
    }),
  }],
  find: (document, name) => document?.[name === "refresh_token" ? "csrf_token" : name],
  looksInto: cookieCarrying.mayRefuse,
  verdict(status, document, isRefresh) {
    const said = `${status} ${document?.code}`;
    if (said === "401 session_over" || (isRefresh && /^(401 token_invalid|403 csrf)$/.test(said))) return "over";
    if (!isRefresh && status === 401) return "expired";
    return isRefresh && said === "503 stale" ? "stale" : "accepted";
  },
};

/**
 * All of it, where a session knows no more than how its requests carry the token.
 * @param {?Carrying} carrying
 * @returns {Speech}
 */
export const inFull = (carrying) => /** @type {Speech} */ (carrying && "call" in carrying ? carrying : cookieSpeech);
