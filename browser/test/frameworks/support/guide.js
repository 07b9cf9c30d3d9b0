// @ts-check
/** The code in the guides of docs/browser, as it stands there. */

import { readFileSync } from "node:fs";

/** @param {string} page @returns {Map<string, string>} by the name in each block's first line */
export function codeOf(page) {
  const text = readFileSync(new URL(`../../../../docs/browser/${page}`, import.meta.url), "utf8");
  return new Map([...text.matchAll(/^```js\n\/\/ (\S+)\n(.*?)^```$/gms)].map(([, name, code]) => [name, code]));
}
