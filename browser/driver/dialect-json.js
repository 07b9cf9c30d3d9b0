// @ts-check
/** The JSON form of a dialect: the members that the README names, and nothing else. */

import { complete } from "../src/decide/dialect.js";
import { BadCase, file, whole } from "./loading.js";

/** @typedef {import("./loading.js").Members} Members */
/** @typedef {import("./loading.js").Kind} Kind */
/** @typedef {(members: Members, name: string) => unknown} Take takes the member of that name, and looks at it */

/** @param {...Kind} kinds @returns {Take} */
const a = (...kinds) => (members, name) => members.take(name, kinds);

/** @param {...string} words @returns {Take} */
const word = (...words) => (members, name) => {
  const said = members.take(name, "string");
  if (!words.includes(said)) throw new BadCase(`${members.where}: ${name} may not be ${said}`);
};

/** @param {Record<string, Take>} shape @param {string[]} [demanded] @returns {Take} */
const part = (shape, demanded = []) => (members, name) => members.inner(name, (inner) => look(inner, shape, demanded));

/** @param {Take} take @returns {Take} */
const orNull = (take) => (members, name) => (members.isNull(name) ? members.takeAny(name) : take(members, name));

/** @param {Record<string, Take>} shape @param {string[]} demanded @returns {Take} */
const listOf = (shape, demanded) => (members, name) =>
  members.take(name, "list").forEach((/** @type {unknown} */ each) =>
    whole(each, `${members.where}.${name}`, (inner) => look(inner, shape, demanded)),
  );

/** @type {Take} */
const lists = (members, name) => {
  if (!Object.values(members.take(name, "object")).every(Array.isArray)) {
    throw new BadCase(`${members.where}: the values of a place are a list`);
  }
};

/** @param {Members} members @param {Record<string, Take>} shape @param {string[]} demanded */
function look(members, shape, demanded) {
  for (const [name, take] of Object.entries(shape)) {
    if (members.has(name) || demanded.includes(name)) take(members, name);
  }
}

const CALL = part(
  {
    url: a("string"),
    method: a("string"),
    encoding: word("json", "form"),
    token: part({ kind: word("body", "header", "query"), name: a("string"), scheme: a("string", "null") }),
    username: a("string"),
    password: a("string"),
    body: a("object"),
    headers: a("object"),
  },
  ["url"],
);
const MATCHES = listOf({ status: a("integer"), body: lists }, ["status"]);
/** @type {Record<string, Take>} */
const DIALECT = {
  name: a("string"),
  access_token: part({ header: a("string"), scheme: a("string", "null") }),
  login: orNull(CALL),
  refresh: orNull(CALL),
  logout: orNull(CALL),
  tokens: part({
    access_token: a("string"),
    refresh_token: a("string", "null"),
    expires_in: a("string", "null"),
    refresh_token_expires_in: a("string", "null"),
    session_id: a("string", "null"),
  }),
  expired: MATCHES,
  over: MATCHES,
  refresh_over: MATCHES,
  stale: MATCHES,
  reason: a("string", "null"),
  refresh_is_repeatable: a("boolean"),
  lifetime_seconds: a("number", "null"),
};

/** The dialect that a JSON document describes. @param {any} value @param {string} where */
export function parse(value, where) {
  whole(value, where, (members) => look(members, DIALECT, []));
  return complete(value);
}

/** The dialects that cases name, as they are written. @type {Record<string, object>} */
export const WRITTEN = file("dialects/known.json", (members) => members.take("dialects", "object"));

/** The dialects that cases name. */
export const KNOWN = Object.fromEntries(Object.entries(WRITTEN).map(([name, value]) => [name, parse(value, name)]));

/** The dialect of a case: one of the known, or its own. @param {Members} members */
export function named(members) {
  const value = members.take("dialect", ["string", "object"]);
  if (typeof value === "object") return parse(value, `${members.where}.dialect`);
  if (!Object.hasOwn(KNOWN, value)) throw new BadCase(`${members.where}: does not know the dialect ${value}`);
  return KNOWN[value];
}
