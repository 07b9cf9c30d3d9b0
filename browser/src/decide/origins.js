// @ts-check
/** Where an access token may go: its own origins, on every hop, and nowhere else. Pure. */

/**
 * The origin of an http or https URL, and the call that servers take it for, its escapes undone.
 * @param {string} url
 * @returns {string[]} neither for other URLs
 */
function parts(url) {
  try {
    const { protocol, origin, pathname } = new URL(url);
    return /^https?:$/.test(protocol) ? [origin, origin + unescaped(pathname)] : [];
  } catch {
    return [];
  }
}

/** The text with its escapes undone; itself, where they are none. @param {string} text */
export function unescaped(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** A call's URL: appended to the base URL if it is a path, itself if it is absolute. @param {string} baseURL @param {string} url */
export const absolute = (baseURL, url) => (url[0] === "/" ? baseURL + url : url);

/** @param {string} url */
function demanded(url) {
  const found = parts(url);
  if (!found[0]) throw new TypeError(`${url} is no http or https URL with a host`);
  return found;
}

/** Where a session's access token belongs. */
export class Home {
  #origins;
  /** @type {string[]} */
  #ownCalls = [];

  /**
   * @param {string} baseURL its origin is home
   * @param {string[]} more URLs whose origins are home too
   * @throws {TypeError} one of them is no http or https URL
   */
  constructor(baseURL, more = []) {
    this.#origins = [baseURL, ...more].map((url) => demanded(url)[0]);
  }

  /**
   * @param {string[]} ownCalls absolute URLs of sign-in and refresh: no token is sent there, and a 401 renews nothing
   * @throws {TypeError} one of them is no http or https URL
   */
  leaveOut(ownCalls) {
    this.#ownCalls = ownCalls.map((url) => demanded(url)[1]);
  }

  /** Whether a request to this absolute URL carries the access token. @param {string} url */
  covers(url) {
    const [origin, call] = parts(url);
    return this.#origins.includes(origin) && !this.#ownCalls.includes(call);
  }
}
