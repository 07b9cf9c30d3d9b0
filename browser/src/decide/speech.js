// @ts-check
/**
 * How an API speaks, as the session and its gate see it. Pure. Evertoken's own, written out; what another API's dialect
 * says is read by a module that is loaded only where one is named.
 *
 * @typedef {"accepted" | "expired" | "over" | "stale"} Verdict
 * @typedef {"login" | "refresh" | "logout" | "csrf"} Call
 */
/**
 * @typedef {object} Speech
 * @property {string} header that carries the access token
 * @property {string} scheme what stands before the token, with its space
 * @property {boolean} isCookie the browser carries the refresh token. What stands in its place for a script is the CSRF
 *   token: with it the browser's cookie may be used, and alone it is good for nothing
 * @property {boolean} isRepeatable a refresh token may be sent again where its answer was lost
 * @property {?number} [lifetime_seconds] of an access token, where the answer does not say it
 * @property {{[member: string]: unknown}} more what a sign-in says besides
 * @property {string[]} ownCalls URLs that no access token goes to
 * @property {(call: Call, token: ?string, members?: {[member: string]: unknown}) => ?[string, RequestInit]} call
 *   its URL, and how it is sent; null: there is no such call
 * @property {(document: any, name: string) => unknown} find what an answer says by that name of ours
 * @property {(status: number) => boolean} looksInto whether an answer's body may say that its token was refused
 * @property {(status: number, document: any, isRefresh?: boolean) => Verdict} verdict of a resource's answer, or a
 *   refresh's; accepted if that is worth looking for tokens in it
 * @property {(headers: Headers) => boolean} [optsOut] whether a request goes out as it is
 * @property {string} [weakness] what is weaker than with evertoken's own
 */

/** Evertoken's own. @param {boolean} isCookie @returns {Speech} */
export const ownSpeech = (isCookie) => ({
  header: "Authorization",
  scheme: "Bearer ",
  isCookie,
  isRepeatable: true,
  more: isCookie ? { delivery: "cookie" } : {},
  ownCalls: ["/auth/login", "/auth/refresh", "/auth/csrf"],
  call(name, token, members) {
    const isQuestion = name === "csrf";
    if (isQuestion && !isCookie) return null;
    const headers = new Headers(isQuestion ? {} : { "Content-Type": "application/json" });
    if (isCookie && token) headers.set("X-CSRF-Token", token);
    return [`/auth/${name}`, {
      method: isQuestion ? "GET" : "POST",
      headers,
      body: isQuestion ? null : JSON.stringify(isCookie || !token ? { ...members } : { refresh_token: token }),
      credentials: isCookie ? "include" : "same-origin",
    }];
  },
  find: (document, name) => document?.[isCookie && name === "refresh_token" ? "csrf_token" : name],
  looksInto: (status) => status === 401,
  verdict(status, document, isRefresh) {
    const said = `${status} ${document?.code}`;
    if (said === "401 session_over") return "over";
    if (!isRefresh) return status === 401 ? "expired" : "accepted";
    if (said === "401 token_invalid" || (isCookie && said === "403 csrf")) return "over";
    return said === "503 stale" ? "stale" : "accepted";
  },
});
