// @ts-check
/** The dialects that cases name: built-in ones, those of known.json, and documents of the cases' own. */

import { read } from "../src/decide/dialect.js";
import { DIALECTS } from "../src/dialects.js";
import { BadCase, file } from "./loading.js";

/** @typedef {import("./loading.js").Members} Members */

/** The dialect that a JSON document describes. @param {any} value @param {string} where */
export function parse(value, where) {
  try {
    return read(value);
  } catch (cause) {
    throw new BadCase(`${where}: ${/** @type {Error} */ (cause).message}`, { cause });
  }
}

/** The dialects that cases name, as they are written. @type {Record<string, object>} */
export const WRITTEN = file("dialects/known.json", (members) => members.take("dialects", "object"));

/** The dialects that cases name. */
export const KNOWN = Object.fromEntries(Object.entries(WRITTEN).map(([name, value]) => [name, parse(value, name)]));

/** The dialect of a case: one of known.json, built in, or its own. @param {Members} members */
export function named(members) {
  const value = members.take("dialect", ["string", "object"]);
  if (typeof value === "object") return parse(value, `${members.where}.dialect`);
  if (Object.hasOwn(KNOWN, value)) return KNOWN[value];
  if (Object.hasOwn(DIALECTS, value)) return parse(DIALECTS[value], value);
  throw new BadCase(`${members.where}: does not know the dialect ${value}`);
}
