// @ts-check
/** Answers as a server of a dialect would write them, to see whether a client takes each for what it is. Pure. */

import { refusal } from "./members.js";
import { find, steps } from "./pointer.js";

/** @typedef {import("./dialect.js").Dialect} Dialect */
/** @typedef {import("./dialect.js").Match} Match */
/** @typedef {import("./speech.js").Speech} Speech */

const SAMPLE = "sample";

/** A step leads into something that is no container, or beyond the end of an array. */
class NoSuchPlace extends Error {}

/** @param {string} step */
const container = (step) => (step === "0" ? [] : {});

/**
 * The document with a value at a JSON Pointer; what is missing on the way there is made.
 * @param {any} document undefined: none yet
 * @param {string} place
 * @param {unknown} value
 */
function put(document, place, value) {
  const path = steps(place);
  if (!path.length) return value;
  document ??= container(path[0]);
  let inside = document;
  for (const [index, step] of path.entries()) {
    const isGap = Array.isArray(inside) && !(String(Number(step)) === step && Number(step) <= inside.length);
    if (typeof inside !== "object" || inside === null || isGap) throw new NoSuchPlace(place);
    const next = path[index + 1];
    if (next === undefined) inside[step] = value;
    else if (!Object.hasOwn(inside, step)) inside[step] = container(next);
    inside = inside[step];
  }
  return document;
}

/** A client may read from the middle of an array that no server of ours could write. @param {string} place */
const isIndex = (place) => steps(place).some((step) => /^\d+$/.test(step));

/** @param {object} body */
const constant = (body) => (Object.keys(body).length ? structuredClone(body) : undefined);

/** @param {Dialect} dialect */
function good({ success, tokens }) {
  /** @type {any} */
  let document = constant(success.body);
  for (const [name, place] of Object.entries(tokens)) {
    if (place === null) continue;
    if (document !== undefined && find(document, place) !== undefined) {
      throw refusal(`/tokens/${name}`, "is where success.body holds something else");
    }
    try {
      document = put(document, place, name.endsWith("expires_in") ? 1 : SAMPLE);
    } catch (error) {
      if (!(error instanceof NoSuchPlace)) throw error;
      if (!isIndex(place)) throw refusal(`/tokens/${name}`, "leads through something that is no container");
    }
  }
  return document ?? {};
}

/**
 * @param {Dialect} dialect
 * @param {?Match} rule
 * @param {string} at
 * @returns {[number, any]}
 */
function bad({ failure, reason }, rule, at) {
  const own = rule ? 401 : 400;
  /** @type {any} */
  let document = failure ? constant(failure.body) : undefined;
  /** @type {[?string, unknown][]} */
  const said = failure ? [[failure.status_at, own], [failure.message_at, SAMPLE], [failure.code_at, SAMPLE], [reason, SAMPLE]] : [];
  const values = Object.entries(rule?.body ?? {}).map(([place, [value]]) => /** @type {[string, unknown]} */ ([place, value]));
  for (const [place, value] of [...said, ...values]) {
    if (place === null) continue;
    try {
      document = put(document, place, value);
    } catch (error) {
      if (!(error instanceof NoSuchPlace)) throw error;
      if (!isIndex(place)) throw refusal(at, `${place} leads through something that is no container`);
      return [rule?.status ?? own, {}];
    }
  }
  return [rule?.status ?? failure?.status ?? own, document ?? {}];
}

/**
 * @param {Dialect} dialect
 * @param {Speech["verdict"]} verdict the dialect's
 * @throws {TypeError} an answer would be taken for another
 */
export function refuseAnswers(dialect, verdict) {
  const success = good(dialect);
  if ([false, true].some((isRefresh) => verdict(200, success, isRefresh) !== "accepted")) {
    throw refusal("/success", "a good answer would be taken for a failure: see expired, over, refresh_over");
  }
  for (const name of /** @type {const} */ (["expired", "over", "refresh_over", "stale"])) {
    for (const [index, rule] of dialect[name].entries()) {
      const at = `/${name}/${index}`;
      const answer = bad(dialect, rule, at);
      // The first is how a server says it; the others a client only recognizes.
      if (index) continue;
      const said = verdict(...answer, name === "refresh_over" || name === "stale");
      if (said !== name.replace("refresh_", "")) {
        throw refusal(at, `this answer would be taken for ${said}: tell the two apart`);
      }
    }
  }
  if (!dialect.failure) return;
  const other = bad(dialect, null, "/failure");
  for (const isRefresh of [false, true]) {
    const said = verdict(...other, isRefresh);
    if (said !== "accepted") throw refusal("/failure", `every other failure would be taken for ${said}: tell the two apart`);
  }
}
