// @ts-check
/** A session that is kept in memory: by wish, and where a browser's storage does not work. */

import { inTurn } from "./leases.js";

/** Until the page is left. @returns {import("../gate.js").Store} */
export function memoryStore() {
  /** @type {?string} */
  let kept = null;
  return {
    load: async () => kept,
    swap: async (expected, document) => {
      if (kept !== expected) return false;
      kept = document;
      return true;
    },
    lease: inTurn(),
  };
}
