// @ts-check
/** Where an access token may go: its own origins, on every hop, and nowhere else. Pure. */

/** @param {string} url @returns {?URL} */
function parsed(url) {
  try {
    const found = new URL(url);
    return /^https?:$/.test(found.protocol) ? found : null;
  } catch {
    return null;
  }
}

/** The path as servers compare it, with its escapes undone. @param {URL} url */
function path(url) {
  try {
    return decodeURIComponent(url.pathname);
  } catch {
    return url.pathname;
  }
}

/** Where a session's access token belongs. */
export class Home {
  #origins;
  #ownCalls;

  /**
   * @param {string} baseURL its origin is home
   * @param {string[]} more URLs whose origins are home too
   * @param {string[]} ownCalls absolute URLs of sign-in and refresh: no token is sent there, and a 401 renews nothing
   * @throws {TypeError} one of them is no http or https URL
   */
  constructor(baseURL, more = [], ownCalls = []) {
    const demanded = (/** @type {string} */ url) => {
      const found = parsed(url);
      if (!found) throw new TypeError(`${url} is not an http or https URL with a host`);
      return found;
    };
    this.#origins = new Set([baseURL, ...more].map((url) => demanded(url).origin));
    this.#ownCalls = new Set(ownCalls.map(demanded).map((url) => url.origin + path(url)));
  }

  /** Whether a request to this absolute URL carries the access token. @param {string} url */
  covers(url) {
    const found = parsed(url);
    return found !== null && this.#origins.has(found.origin) && !this.#ownCalls.has(found.origin + path(found));
  }
}
