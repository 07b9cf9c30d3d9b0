// @ts-check
/**
 * A dialect: one API's way of speaking, as data. Loaded only by pages that name one; pure, but for the cookie that tells a
 * CSRF token, and for loading the built-in ones. The members are those of docs/dialects/document.md, in snake_case.
 *
 * @typedef {{status: number, body: Record<string, (string | number | boolean)[]>}} Match
 * @typedef {{kind: "body" | "header" | "query" | "cookie", name: string, scheme: ?string}} TokenPlace
 * @typedef {{url: string, method: string, encoding: "json" | "form", username: string, password: string,
 *   token: TokenPlace, body: Record<string, unknown>, headers: Record<string, string>}} AuthCall
 * @typedef {{header: string, cookie: ?string, url: ?string}} Csrf
 * @typedef {{name: string, access_token: {header: string, scheme: ?string}, login: ?AuthCall, refresh: ?AuthCall,
 *   logout: ?AuthCall, csrf: ?Csrf, tokens: Record<string, ?string>, expired: Match[], over: Match[],
 *   refresh_over: Match[], stale: Match[], reason: ?string, refresh_is_repeatable: boolean, lifetime_seconds: ?number,
 *   opt_out: ?{header: string, value: string}, refresh_token_in_answer: "new" | "always" | "never",
 *   success: {body: Record<string, unknown>}, failure: ?Failure, about: string}} Dialect
 * @typedef {{status: ?number, body: Record<string, unknown>, status_at: ?string, message_at: ?string,
 *   code_at: ?string}} Failure
 */
/**
 * What a page writes: whatever is left out has its default.
 * @template T
 * @typedef {T extends (infer E)[] ? Partly<E>[] : T extends object ? {[K in keyof T]?: Partly<T[K]>} : T} Partly
 */
/** @typedef {Partly<Dialect> & {$schema?: string}} DialectDocument */

import { lack } from "../keep/weaknesses.js";
import { lazily } from "../waits.js";
import { refuseContradictions } from "./contradictions.js";
import { refuseMembers } from "./members.js";
import { unescaped } from "./origins.js";
import { find } from "./pointer.js";
import { refuseAnswers } from "./samples.js";

/** @typedef {import("./speech.js").Speech} Speech */
/** @typedef {import("./speech.js").Call} Call */

const builtIn = /* @__PURE__ */ lazily(() => import("../dialects.js"));

const CALL = {
  url: "", method: "POST", encoding: "json", token: { kind: "body", name: "refresh_token", scheme: null },
  username: "username", password: "password", body: {}, headers: {},
};
const FAILURE = { status: null, body: {}, status_at: null, message_at: null, code_at: null };
const CSRF = { header: "X-CSRF-Token", cookie: null, url: null };
const DEFAULTS = {
  name: "home-made",
  access_token: { header: "Authorization", scheme: "Bearer" },
  login: { url: "/auth/login" },
  refresh: { url: "/auth/refresh" },
  logout: { url: "/auth/logout" },
  tokens: {
    access_token: "/access_token", refresh_token: "/refresh_token", expires_in: "/expires_in",
    refresh_token_expires_in: "/refresh_token_expires_in", session_id: "/session_id", csrf_token: null,
  },
  expired: [{ status: 401 }],
  over: [],
  refresh_over: [{ status: 401 }],
  stale: [],
  reason: null,
  refresh_is_repeatable: false,
  lifetime_seconds: null,
  csrf: null,
  refresh_token_in_answer: "new",
  opt_out: null,
  success: { body: {} },
  failure: null,
  about: "",
};

/**
 * A dialect with everything that it leaves out.
 * @param {any} given
 * @returns {Dialect}
 */
export function complete({ $schema, ...given }) {
  const dialect = { ...DEFAULTS, ...given };
  for (const name of ["access_token", "tokens", "success"]) dialect[name] = { .../** @type {any} */ (DEFAULTS)[name], ...given[name] };
  for (const name of ["login", "refresh", "logout"]) {
    const call = dialect[name];
    if (call) dialect[name] = { ...CALL, ...call, token: { ...CALL.token, ...call.token } };
  }
  if (dialect.csrf) dialect.csrf = { ...CSRF, ...dialect.csrf };
  if (dialect.failure) dialect.failure = { ...FAILURE, ...dialect.failure };
  for (const name of ["expired", "over", "refresh_over", "stale"]) {
    dialect[name] = dialect[name].map((/** @type {object} */ rule) => ({ body: {}, ...rule }));
  }
  return dialect;
}

/**
 * The dialect that a document describes.
 * @param {unknown} document
 * @returns {Dialect}
 * @throws {TypeError} a member is unknown, is not what it must be, or contradicts another; the text names it
 */
export function read(document) {
  refuseMembers(document);
  const dialect = complete(document);
  refuseContradictions(dialect);
  refuseAnswers(dialect, speechOf(dialect).verdict);
  return dialect;
}

/**
 * How an API speaks, by a document or a built-in's name.
 * @param {unknown} given
 * @param {import("../session.js").Session} session that says what is weaker with it
 * @returns {Promise<Speech>}
 * @throws {TypeError} there is no such dialect
 */
export async function readDialect(given, session) {
  let document = given;
  if (typeof given === "string") {
    const { DIALECTS } = await builtIn();
    if (!Object.hasOwn(DIALECTS, given)) {
      throw new TypeError(`there is no dialect ${given}: name one of ${Object.keys(DIALECTS).join(", ")}, or give a document`);
    }
    document = /** @type {Record<string, unknown>} */ (DIALECTS)[given];
  }
  const speech = speechOf(read(document));
  if (!/^authorization$/i.test(speech.header)) lack(session, "a token header of its own");
  return speech;
}

/** @param {Dialect} dialect @returns {Speech} */
export function speechOf(dialect) {
  const { access_token, csrf, tokens, opt_out, failure, over, expired, refresh_over, stale } = dialect;
  const { header, scheme } = access_token;
  const isCookie = dialect.refresh?.token.kind === "cookie";
  const csrfCookie = () => (csrf?.cookie ? cookie(csrf.cookie) : null);
  const places = {
    ...tokens,
    refresh_token: isCookie ? tokens.csrf_token : dialect.refresh && tokens.refresh_token,
    reason: dialect.reason,
    code: failure?.code_at ?? "/code",
    detail: failure?.message_at ?? "/detail",
  };
  return {
    header,
    scheme: scheme === null ? "" : `${scheme} `,
    isCookie,
    isRepeatable: dialect.refresh_is_repeatable,
    more: {},
    ownCalls: [dialect.login?.url, dialect.refresh?.url, csrf?.url].filter((url) => url != null).map(placed),
    call: (name, token, members = {}) => written(dialect, name, token, members),
    find: (document, name) => {
      const found = find(document, /** @type {any} */ (places)[name]);
      if (/expires_in$/.test(name)) return number(found) ?? (name === "expires_in" ? dialect.lifetime_seconds : undefined);
      return isCookie && name === "refresh_token" ? found ?? csrfCookie() : found;
    },
    mayRefuse: (status) => [...over, ...expired].some((rule) => rule.status === status),
    looksInto: (status) => [...over, ...expired].some((rule) => rule.status === status && Object.keys(rule.body).length),
    verdict: (status, document, isRefresh) => {
      if (fits(isRefresh ? [...over, ...refresh_over] : over, status, document)) return "over";
      if (isRefresh) return fits(stale, status, document) ? "stale" : "accepted";
      return fits(expired, status, document) ? "expired" : "accepted";
    },
    optsOut: (headers) => opt_out !== null && headers.get(opt_out.header) === opt_out.value,
  };
}

/** From the base URL, with one slash; or absolute. @param {string} url */
const placed = (url) => (/^[a-z]+:/i.test(url) ? url : url.replace(/^\/*/, "/"));

/** Some servers write seconds as text. @param {unknown} value */
const number = (value) => (typeof value === "string" && /^\d{1,11}$/.test(value) ? Number(value) : value);

/**
 * A call as fetch takes it; null: there is no such call.
 * @param {Dialect} dialect
 * @param {Call} name
 * @param {?string} token
 * @param {{[member: string]: unknown}} members
 * @returns {?[string, RequestInit]}
 */
function written({ csrf, refresh, ...calls }, name, token, members) {
  const isCookie = refresh?.token.kind === "cookie";
  const credentials = isCookie ? "include" : undefined;
  if (name === "csrf") return csrf?.url ? [placed(csrf.url), { headers: { Accept: "application/json" }, credentials }] : null;
  const call = name === "refresh" ? refresh : calls[name];
  if (!call) {
    if (name === "refresh") throw new TypeError("the API has no such call");
    return null;
  }
  const { kind, name: place, scheme } = call.token;
  const headers = new Headers({ Accept: "application/json", ...call.headers });
  const { username, password, ...more } = members;
  const body = /** @type {Record<string, any>} */ ({ ...call.body });
  if (name === "login") Object.assign(body, { [call.username]: username, [call.password]: password }, more);
  let url = placed(call.url);
  if (token !== null) {
    if (kind === "cookie" && csrf) headers.set(csrf.header, token);
    if (kind === "body") body[place] = token;
    if (kind === "header") headers.set(place, scheme ? `${scheme} ${token}` : token);
    if (kind === "query") url += `${url.includes("?") ? "&" : "?"}${new URLSearchParams({ [place]: token })}`;
  }
  if (call.method === "GET") return [url, { headers, credentials }];
  const isForm = call.encoding === "form";
  headers.set("Content-Type", isForm ? "application/x-www-form-urlencoded" : "application/json");
  const text = isForm ? String(new URLSearchParams(body)) : JSON.stringify(body);
  return [url, { method: call.method, headers, credentials, body: text }];
}

/** @param {Match[]} rules @param {number} status @param {unknown} document */
const fits = (rules, status, document) =>
  rules.some(
    (rule) =>
      rule.status === status &&
      Object.entries(rule.body).every(([place, values]) => values.map(asText).includes(asText(find(document, place)))),
  );

/** A number also matches its text, and the other way round. @param {any} value */
const asText = (value) => (typeof value === "number" ? String(value) : value);

/** What a cookie says that scripts can read. @param {string} name */
function cookie(name) {
  const found = (globalThis.document?.cookie ?? "").split("; ").find((each) => each.startsWith(`${name}=`));
  const value = found?.slice(name.length + 1);
  return value ? unescaped(value) : null;
}
