// @ts-check
/** What a document of a store is that is no record. Loaded where one is found. Pure. */

import { EMPTY, FORMAT, isRight } from "./record.js";
import { parseJSON } from "./texts.js";

/**
 * Why a document says nothing of a session.
 * @param {string} document that `parse` has found to be none
 * @returns {{refused: "not_json" | "foreign" | "later_format" | "no_token" | "member", member?: string}}
 */
export function why(document) {
  const members = parseJSON(() => document);
  if (members === undefined) return { refused: "not_json" };
  if (members?.evertoken !== FORMAT) return { refused: members?.evertoken === undefined ? "foreign" : "later_format" };
  const member = Object.entries(EMPTY).find(([name, missing]) => !isRight(name, members[name] ?? missing))?.[0];
  return member === undefined ? { refused: "no_token" } : { refused: "member", member };
}
