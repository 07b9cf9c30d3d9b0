// @ts-check
/** How the requests of an API carry its access token, and which answers may refuse it. Pure. */

/**
 * @typedef {object} Carrying
 * @property {string} header that carries the access token
 * @property {string} scheme what stands before the token, with its space
 * @property {boolean} isCookie the browser carries the refresh token. What stands in its place for a script is the CSRF
 *   token: with it the browser's cookie may be used, and alone it is good for nothing
 * @property {string[]} ownCalls URLs that no access token goes to; as those of calls absolute, or paths from the base URL
 * @property {(status: number) => boolean} mayRefuse whether an answer with this status may say that its token was refused
 * @property {(headers: Headers) => boolean} [optsOut] whether a request goes out as it is
 */

/** Evertoken's own, with its refresh token in a cookie. @type {Carrying} */
export const cookieCarrying = {
  header: "Authorization",
  scheme: "Bearer ",
  isCookie: true,
  ownCalls: ["/auth/login", "/auth/refresh", "/auth/csrf"],
  mayRefuse: (status) => status === 401,
};
