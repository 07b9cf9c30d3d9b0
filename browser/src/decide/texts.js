// @ts-check
/** What texts may be that come from a server or a store. Pure. */

/**
 * Whether this may go into a header: visible ASCII, at most 16 KiB.
 * @param {unknown} value
 * @returns {value is string}
 */
export const isToken = (value) => typeof value === "string" && /^[!-~]{1,16384}$/.test(value);

/** What a text says as JSON; undefined: nothing. @param {() => string} text */
export function parseJSON(text) {
  try {
    return JSON.parse(text());
  } catch {
    return undefined;
  }
}
