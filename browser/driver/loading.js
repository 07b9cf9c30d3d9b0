// @ts-check
/** Reads the files of conformance/, and refuses what their README does not know: a slip must not pass for a case. */

import { readFileSync, readdirSync } from "node:fs";

export const ROOT = new URL("../../conformance/", import.meta.url);

/** A file of conformance/ does not follow its README. */
export class BadCase extends Error {}

/** @typedef {"string" | "number" | "integer" | "boolean" | "list" | "object" | "null"} Kind */

/** @param {unknown} value @returns {Kind[]} what it may be taken for */
function kindsOf(value) {
  if (value === null) return ["null"];
  if (Array.isArray(value)) return ["list"];
  if (Number.isInteger(value)) return ["integer", "number"];
  return [/** @type {Kind} */ (typeof value)];
}

/** The members of one JSON object: each is taken once, and none may be left over. */
export class Members {
  /** @type {Map<string, unknown>} */
  #left;

  /** @param {unknown} value @param {string} where */
  constructor(value, where) {
    if (kindsOf(value)[0] !== "object") throw new BadCase(`${where}: not an object but ${JSON.stringify(value)}`);
    this.#left = new Map(Object.entries(/** @type {object} */ (value)));
    this.where = where;
  }

  /**
   * The member of that name, of one of these kinds; `otherwise` where it is left out.
   * @param {string} name
   * @param {Kind | Kind[]} kinds
   * @param {unknown} [otherwise] without it the member is demanded
   * @returns {any}
   */
  take(name, kinds, otherwise) {
    if (!this.#left.has(name)) {
      if (otherwise === undefined) throw new BadCase(`${this.where}: lacks ${name}`);
      return otherwise;
    }
    const value = this.takeAny(name);
    if (value !== otherwise && !kindsOf(value).some((kind) => [kinds].flat().includes(kind))) {
      throw new BadCase(`${this.where}: ${name} may not be ${JSON.stringify(value)}`);
    }
    return value;
  }

  /** The member of that name, whatever it is. @param {string} name @returns {any} */
  takeAny(name) {
    const value = this.#left.get(name);
    if (!this.#left.delete(name)) throw new BadCase(`${this.where}: lacks ${name}`);
    return value;
  }

  /**
   * What `read` makes of the member of that name, an object with none left over.
   * @template T
   * @param {string} name
   * @param {(inner: Members) => T} read
   */
  inner(name, read) {
    return whole(this.take(name, "object"), `${this.where}.${name}`, read);
  }

  /** Whether there is one that has not been taken. @param {string} name */
  has(name) {
    return this.#left.has(name);
  }

  /** Whether it is there and null. @param {string} name */
  isNull(name) {
    return this.#left.get(name) === null;
  }

  /** Whether it is an object. @param {string} name */
  isObject(name) {
    return kindsOf(this.#left.get(name))[0] === "object";
  }

  /** The name of the one member that there is, which must be among these. @param {string[]} names */
  only(...names) {
    const found = [...this.#left.keys()];
    if (found.length !== 1 || !names.includes(found[0])) {
      throw new BadCase(`${this.where}: has ${found}, not one of ${names}`);
    }
    return found[0];
  }

  /** Nothing may be left. */
  end() {
    if (this.#left.size) throw new BadCase(`${this.where}: does not know ${[...this.#left.keys()]}`);
  }
}

/**
 * What `read` makes of an object, of which it must take every member.
 * @template T
 * @param {unknown} value
 * @param {string} where
 * @param {(members: Members) => T} read
 * @returns {T}
 */
export function whole(value, where, read) {
  const members = new Members(value, where);
  const found = read(members);
  members.end();
  return found;
}

/**
 * What `read` makes of each case of a file, with its name.
 * @template T
 * @param {string} path below conformance/
 * @param {(members: Members) => T} read
 * @param {(file: Members) => void} before takes what the file has besides its cases
 * @returns {(T & {name: string})[]}
 */
export const cases = (path, read, before = () => {}) =>
  file(path, (members) => {
    before(members);
    return casesIn(members, read);
  });

/**
 * @template T
 * @param {string} path below conformance/
 * @param {(file: Members) => T} read
 */
export const file = (path, read) => document(readFileSync(new URL(path, ROOT), "utf8"), path, read);

/**
 * @template T
 * @param {string} text
 * @param {string} where
 * @param {(file: Members) => T} read
 */
export function document(text, where, read) {
  const value = JSON.parse(text);
  refuseTwins(text, where);
  return whole(value, where, (members) => {
    if (!members.take("about", "string").endsWith(".")) throw new BadCase(`${where}: about is no sentence`);
    return read(members);
  });
}

/**
 * @template T
 * @param {Members} members
 * @param {(members: Members) => T} read
 */
export function casesIn(members, read) {
  const names = new Set();
  return members.take("cases", "list").map((/** @type {unknown} */ value) =>
    whole(value, members.where, (each) => {
      const name = each.take("name", "string");
      each.where = `${members.where}, ${name}`;
      if (names.has(name) || !/^[a-z0-9_]+$/.test(name)) {
        throw new BadCase(`${each.where}: the name is taken already, or not in snake_case`);
      }
      names.add(name);
      if (!each.take("sentence", "string").endsWith(".")) throw new BadCase(`${each.where}: no sentence`);
      return { name, ...read(each) };
    }),
  );
}

/** The files of a folder of conformance/, as paths below it. @param {string} folder */
export const files = (folder) =>
  readdirSync(new URL(`${folder}/`, ROOT))
    .filter((name) => name.endsWith(".json"))
    .sort()
    .map((name) => `${folder}/${name}`);

/** Of a member that occurs twice the parser takes the last, in silence. @param {string} json @param {string} where */
function refuseTwins(json, where) {
  /** @type {(Set<string> | null)[]} */
  const around = [];
  let last = "";
  for (const [token] of json.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\]:]/g)) {
    if (token === "{") around.push(new Set());
    else if (token === "[") around.push(null);
    else if (token === "}" || token === "]") around.pop();
    else if (token === ":") {
      const members = around.at(-1);
      if (members?.has(JSON.parse(last))) throw new BadCase(`${where}: the member ${last} occurs twice`);
      members?.add(JSON.parse(last));
    } else last = token;
  }
}

/**
 * A text: itself, or its parts, of which one may be repeated.
 * @param {unknown} value
 * @param {string} where
 * @returns {string}
 */
export function text(value, where) {
  if (typeof value === "string") return value;
  if (!Array.isArray(value)) throw new BadCase(`${where}: ${JSON.stringify(value)} is no text and no list of parts`);
  return value
    .map((part) =>
      typeof part === "string"
        ? part
        : whole(part, where, (members) => members.take("repeat", "string").repeat(members.take("times", "integer"))),
    )
    .join("");
}

/** The body of an answer: `body`, `json` or `hex`; empty without any. @param {Members} members @returns {Uint8Array} */
export function body(members) {
  if (members.has("hex")) return Buffer.from(members.take("hex", "string"), "hex");
  const written = members.has("json")
    ? JSON.stringify(members.takeAny("json"))
    : text(members.take("body", ["string", "list"], ""), members.where);
  return new TextEncoder().encode(written);
}
