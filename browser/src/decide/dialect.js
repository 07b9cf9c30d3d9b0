// @ts-check
/**
 * A dialect: one API's way of speaking, as data. Pure. The members are those of conformance/README.md, in snake_case.
 *
 * @typedef {{status: number, body?: Record<string, (string | number | boolean)[]>}} Match
 * @typedef {{url: string, method?: string, encoding?: "json" | "form", username?: string, password?: string,
 *   token?: {kind?: "body" | "header" | "query" | "cookie", name?: string, scheme?: ?string},
 *   body?: Record<string, unknown>, headers?: Record<string, string>,
 *   credentials?: "omit" | "same-origin" | "include"}} AuthCall
 * @typedef {{name: string, access_token: {header: string, scheme: ?string}, login: ?AuthCall, refresh: AuthCall,
 *   logout: ?AuthCall, csrf?: AuthCall, tokens: Record<string, ?string>, expired: Match[], over: Match[], refresh_over: Match[],
 *   stale: Match[], reason: ?string, refresh_is_repeatable: boolean, lifetime_seconds: ?number}} Dialect
 * @typedef {"accepted" | "expired" | "over" | "stale"} Verdict
 */

/** A longer answer is not looked into: it is data, not a refusal. */
export const LONGEST_BODY_READ = 1024 * 1024;

/** @param {string} url @returns {AuthCall} */
const call = (url) => ({
  url, method: "POST", encoding: "json", token: { kind: "body", name: "refresh_token", scheme: null },
  username: "username", password: "password", body: {}, headers: {},
});

const DEFAULTS = {
  name: "home-made",
  access_token: { header: "Authorization", scheme: "Bearer" },
  login: call("/auth/login"),
  refresh: call("/auth/refresh"),
  logout: call("/auth/logout"),
  tokens: {
    access_token: "/access_token", refresh_token: "/refresh_token", expires_in: "/expires_in",
    refresh_token_expires_in: "/refresh_token_expires_in", session_id: "/session_id",
  },
  expired: [{ status: 401, body: {} }],
  over: [],
  refresh_over: [{ status: 401, body: {} }],
  stale: [],
  reason: null,
  refresh_is_repeatable: false,
  lifetime_seconds: null,
};

/** evertoken's own. */
export const EVERTOKEN = {
  name: "evertoken",
  over: [{ status: 401, body: { "/code": ["session_over"] } }],
  refresh_over: [{ status: 401, body: { "/code": ["token_invalid"] } }],
  stale: [{ status: 503, body: { "/code": ["stale"] } }],
  reason: "/reason",
  refresh_is_repeatable: true,
};

/** @param {string} url @returns {AuthCall} */
const withCookie = (url) => ({ url, token: { kind: "header", name: "X-CSRF-Token" }, credentials: "include" });

/**
 * evertoken's own with the refresh token in an HttpOnly cookie. What stands in the place of a refresh token for a
 * script is the CSRF token: with it the browser's cookie may be used, and alone it is good for nothing.
 */
export const EVERTOKEN_COOKIE = {
  ...EVERTOKEN,
  login: { ...withCookie("/auth/login"), body: { delivery: "cookie" } },
  refresh: withCookie("/auth/refresh"),
  logout: withCookie("/auth/logout"),
  csrf: { ...withCookie("/auth/csrf"), method: "GET" },
  tokens: { refresh_token: "/csrf_token" },
  // A CSRF token that does not fit: the cookie is another session's by now.
  refresh_over: [...EVERTOKEN.refresh_over, { status: 403, body: { "/code": ["csrf"] } }],
};

/**
 * A dialect with everything that it leaves out.
 * @param {Partial<Dialect>} given
 * @returns {Dialect}
 * @throws {TypeError} a pointer is none
 */
export function complete(given) {
  const dialect = /** @type {any} */ ({ ...DEFAULTS, ...given });
  dialect.access_token = { ...DEFAULTS.access_token, ...given.access_token };
  dialect.tokens = { ...DEFAULTS.tokens, ...given.tokens };
  for (const name of ["login", "refresh", "logout", "csrf"]) {
    const own = dialect[name];
    if (own) dialect[name] = { ...call(own.url), ...own, token: { ...call("").token, ...own.token } };
  }
  // What could only fail in mid-conversation is refused at the start.
  for (const name of ["expired", "over", "refresh_over", "stale"]) {
    dialect[name] = dialect[name].map((/** @type {Match} */ rule) => ({ body: {}, ...rule }));
    for (const rule of dialect[name]) places(rule).forEach(steps);
  }
  for (const pointer of [...Object.values(dialect.tokens), dialect.reason]) find(null, pointer);
  return dialect;
}

/** @param {Match} rule */
const places = (rule) => Object.keys(rule.body ?? {});

/** @param {string} pointer @returns {string[]} */
function steps(pointer) {
  if (pointer === "") return [];
  if (pointer[0] !== "/" || /~(?![01])/.test(pointer)) {
    throw new TypeError(`${pointer} is not a JSON Pointer (RFC 6901)`);
  }
  return pointer.slice(1).split("/").map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
}

/**
 * The value at a place of a document; undefined where there is none, which JSON knows not.
 * @param {any} document
 * @param {?string | undefined} pointer
 */
export function find(document, pointer) {
  if (pointer == null) return undefined;
  for (const step of steps(pointer)) {
    if (typeof document !== "object" || !Object.hasOwn(document ?? {}, step)) return undefined;
    // The length is a list's own, but not the document's.
    if (Array.isArray(document) && step === "length") return undefined;
    document = document[step];
  }
  return document;
}

/** The body as JSON, or undefined. @param {Uint8Array | ArrayBuffer} bytes */
export function parseBody(bytes) {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    return undefined;
  }
}

/** @param {Match[]} rules @param {number} status @param {unknown} document */
const fits = (rules, status, document) =>
  rules.some(
    (rule) =>
      rule.status === status &&
      places(rule).every((place) => rule.body?.[place].map(asText).includes(asText(find(document, place)))),
  );

/** A number also matches its text, and the other way round. @param {unknown} value */
const asText = (value) => (typeof value === "number" ? String(value) : value);

/**
 * What the answer of a resource says of the access token.
 * @param {Dialect} dialect
 * @param {number} status
 * @param {unknown} document its body as JSON, or undefined
 * @returns {Verdict}
 */
export function verdict(dialect, status, document) {
  if (fits(dialect.over, status, document)) return "over";
  return fits(dialect.expired, status, document) ? "expired" : "accepted";
}

/**
 * What an answer to a refresh says of the session; accepted if it is worth looking for tokens in it.
 * @param {Dialect} dialect
 * @param {number} status
 * @param {unknown} document
 * @returns {Verdict}
 */
export function refreshVerdict(dialect, status, document) {
  if (fits([...dialect.over, ...dialect.refresh_over], status, document)) return "over";
  return fits(dialect.stale, status, document) ? "stale" : "accepted";
}

/**
 * Whether the body has to be read to judge an answer; otherwise a stream stays a stream.
 * @param {Dialect} dialect
 * @param {number} status
 * @param {?string} type its Content-Type
 * @param {?string} length its Content-Length
 */
export function wantsBody(dialect, status, type, length) {
  return (
    [...dialect.over, ...dialect.expired].some((rule) => rule.status === status && places(rule).length) &&
    /^\s*(application\/|[^;]+\+)json\s*(;|$)/i.test(type ?? "") &&
    !(/^\d+$/.test(length ?? "") && Number(length) > LONGEST_BODY_READ)
  );
}

/** Why the session is over, as the answer says. @param {Dialect} dialect @param {unknown} document */
export function reasonIn(dialect, document) {
  const said = find(document, dialect.reason);
  return isPrintable(said) ? Array.from(said).slice(0, 64).join("") : "unknown";
}

/**
 * Whether it is text, without control characters and halves of surrogate pairs.
 * @param {unknown} text
 * @returns {text is string}
 */
export const isPrintable = (text) => typeof text === "string" && text !== "" && !/(?! )[\p{C}\p{Z}]/u.test(text);
