// @ts-check
/** Writing into a session's store: done by whoever holds the lease, or compares. */

import { render } from "../decide/succession.js";

/**
 * Put a record, or nothing, into the place of a document.
 * @param {import("../gate.js").Gate} gate
 * @param {?string} document
 * @param {?import("../decide/record.js").Record} record
 * @returns {Promise<boolean>} false: something else stands there by now
 */
export async function write(gate, document, record) {
  const { veil } = gate.around;
  const isDone = await gate.stored("swap", document, record && render(veil ? { ...record, access_token: null } : record));
  if (isDone) veil?.keep(record);
  return isDone;
}
