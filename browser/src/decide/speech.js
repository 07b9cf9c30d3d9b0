// @ts-check
/**
 * How an API speaks, as the session and its gate see it. Pure. Evertoken's own, written out; that with both tokens in the
 * body, and what another API's dialect says, stand in modules that are loaded only where they are wanted.
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
 * @property {{[member: string]: unknown}} more what a sign-in says besides
 * @property {string[]} ownCalls URLs that no access token goes to; as those of calls absolute, or paths from the base URL
 * @property {(call: Call, token: ?string, members?: {[member: string]: unknown}) => ?[string, RequestInit]} call
 *   its URL, and how it is sent; null: there is no such call
 * @property {(document: any, name: string) => unknown} find what an answer says by that name of ours
 * @property {(status: number) => boolean} looksInto whether an answer's body may say that its token was refused
 * @property {(status: number, document: any, isRefresh?: boolean) => Verdict} verdict of a resource's answer, or a
 *   refresh's; accepted if that is worth looking for tokens in it
 * @property {(headers: Headers) => boolean} [optsOut] whether a request goes out as it is
 */

/** Evertoken's own, with its refresh token in a cookie. @type {Speech} */
export const cookieSpeech = {
  header: "Authorization",
  scheme: "Bearer ",
  isCookie: true,
  isRepeatable: true,
  more: { delivery: "cookie" },
  ownCalls: ["/auth/login", "/auth/refresh", "/auth/csrf"],
  call: (name, token, members = {}) => [`/auth/${name}`, {
    credentials: "include",
    ...(name !== "csrf" && {
      method: "POST",
      headers: { "Content-Type": "application/json", ...(token && { "X-CSRF-Token": token }) },
      body: JSON.stringify(members),
    }),
  }],
  find: (document, name) => document?.[name === "refresh_token" ? "csrf_token" : name],
  looksInto: (status) => status === 401,
  verdict(status, document, isRefresh) {
    const said = `${status} ${document?.code}`;
    if (said === "401 session_over" || (isRefresh && /^(401 token_invalid|403 csrf)$/.test(said))) return "over";
    if (!isRefresh && status === 401) return "expired";
    return isRefresh && said === "503 stale" ? "stale" : "accepted";
  },
};
