// @ts-check
/** The members of a dialect document, one by one: what each may be, as dialect.schema.json says it. Pure. */

/** @typedef {(value: any, place: string) => void} Kind  throws where the value is of another kind */

/**
 * @param {string} place its JSON Pointer; empty for the whole document
 * @param {string} told
 */
export const refusal = (place, told) => Object.assign(new TypeError(`dialect ${place} ${told}`), { field: place });

/** @param {string} place @param {string | number} step */
export const within = (place, step) => `${place}/${String(step).replaceAll("~", "~0").replaceAll("/", "~1")}`;

/** @param {boolean} isRight @param {string} place @param {string} told */
function demand(isRight, place, told) {
  if (!isRight) throw refusal(place, told);
}

/** @param {string} pattern @param {string} what @param {number} longest @returns {Kind} */
const text = (pattern, what, longest) => {
  const whole = new RegExp(`^(?:${pattern})$`, "u");
  return (value, place) =>
    demand(
      typeof value === "string" && Array.from(value).length <= longest && whole.test(value),
      place, `is not ${what}, at most ${longest} characters`,
    );
};

/** @param {...string} words @returns {Kind} */
const word = (...words) => (value, place) => demand(words.includes(value), place, `is not one of ${words.join(", ")}`);

/** @param {number} least @param {number} most @returns {Kind} */
const integer = (least, most) => (value, place) =>
  demand(Number.isInteger(value) && value >= least && value <= most, place, `is no whole number from ${least} to ${most}`);

/** @type {Kind} */
const flag = (value, place) => demand(typeof value === "boolean", place, "is not true or false");

/** @type {Kind} */
const seconds = (value, place) =>
  demand(Number.isFinite(value) && value > 0 && value <= 315_360_000, place, "is no number of seconds above 0");

/** @type {Kind} */
const scalar = (value, place) =>
  demand(
    ["string", "boolean"].includes(typeof value) || Number.isSafeInteger(value),
    place, "is no text, whole number, true or false",
  );

/** @type {Kind} */
const anything = () => {};

/** @param {Kind} kind @returns {Kind} */
const orNull = (kind) => (value, place) => value === null || kind(value, place);

/** @param {Kind} kind @param {number} least @returns {Kind} */
const listOf = (kind, least) => (value, place) => {
  demand(Array.isArray(value) && value.length >= least && value.length <= 16, place, `is no list of ${least} to 16`);
  value.forEach((/** @type {unknown} */ each, /** @type {number} */ index) => kind(each, within(place, index)));
};

/** @param {unknown} value @param {string} place */
const object = (value, place) =>
  demand(typeof value === "object" && value !== null && !Array.isArray(value), place, "is no object");

/** @param {Kind} name @param {Kind} kind @returns {Kind} */
const members = (name, kind, most = 32) => (value, place) => {
  object(value, place);
  demand(Object.keys(value).length <= most, place, `has more than ${most} members`);
  for (const [key, each] of Object.entries(value)) {
    name(key, within(place, key));
    kind(each, within(place, key));
  }
};

/** @param {Record<string, Kind>} kinds @param {string[]} demanded @returns {Kind} */
const part = (kinds, demanded = []) => (value, place) => {
  object(value, place);
  for (const name of demanded) demand(Object.hasOwn(value, name), within(place, name), "is missing");
  for (const [name, each] of Object.entries(value)) {
    const at = within(place, name);
    demand(Object.hasOwn(kinds, name), at, `is no member of a dialect; here are known: ${Object.keys(kinds).join(", ")}`);
    kinds[name](each, at);
  }
};

const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z\\-]+";
const PATH = "[A-Za-z0-9._~!$&'()*+,;=:@%\\-]";
const POINTER = text("(?:/(?:[^~/]|~[01])*)*", "a JSON Pointer (RFC 6901), as /data/token", 256);
export const HEADER = text(TOKEN, "a header's name (RFC 9110 §5.1)", 64);
const COOKIE = text(TOKEN, "a cookie's name (RFC 6265 §4.1.1)", 64);
const SCHEME = text(TOKEN, "an authentication scheme (RFC 9110 §11.1), as Bearer", 64);
const VALUE = text("[!-~](?:[ -~]*[!-~])?", "visible ASCII without a space at either end", 512);
const ANY_TEXT = text("[^\\u0000-\\u001f\\u007f]+", "a text without control characters", 128);
const URL_TEXT = text(
  `(?:https?://(?:[A-Za-z0-9.\\-]+|\\[[0-9A-Fa-f:.]+\\])(?::[0-9]{1,5})?)?/(?:${PATH}(?:${PATH}|/)*)?(?:\\?(?:${PATH}|[/?])*)?`,
  "a path as /auth/login, or an http(s) URL, in ASCII, without a fragment or a user name", 1024,
);

const MATCHES = listOf(
  part({ status: integer(200, 599), body: members(POINTER, listOf(scalar, 1), 8) }, ["status"]), 0,
);
const CALL = orNull(
  part(
    {
      url: URL_TEXT,
      method: word("GET", "POST", "PUT", "PATCH", "DELETE"),
      encoding: word("json", "form"),
      token: part({ kind: word("body", "header", "query", "cookie"), name: ANY_TEXT, scheme: orNull(SCHEME) }),
      username: ANY_TEXT,
      password: ANY_TEXT,
      body: members(ANY_TEXT, anything),
      headers: members(HEADER, VALUE),
    },
    ["url"],
  ),
);
const PLACE = orNull(POINTER);
const DIALECT = part({
  $schema: text("[^\\u0000-\\u0020]+", "a URI", 1024),
  name: text("[A-Za-z0-9][A-Za-z0-9._\\-]*", "letters, digits, dot, dash and underscore", 64),
  about: text("[^\\u0000-\\u001f\\u007f-\\u009f]*", "one line of text", 500),
  access_token: part({ header: HEADER, scheme: orNull(SCHEME) }),
  login: CALL,
  refresh: CALL,
  logout: CALL,
  csrf: orNull(part({ header: HEADER, cookie: orNull(COOKIE), url: orNull(URL_TEXT) })),
  tokens: part({
    access_token: POINTER, refresh_token: PLACE, expires_in: PLACE, refresh_token_expires_in: PLACE, session_id: PLACE,
    csrf_token: PLACE,
  }),
  expired: MATCHES,
  over: MATCHES,
  refresh_over: MATCHES,
  stale: MATCHES,
  reason: PLACE,
  refresh_is_repeatable: flag,
  lifetime_seconds: orNull(seconds),
  refresh_token_in_answer: word("new", "always", "never"),
  opt_out: orNull(part({ header: HEADER, value: VALUE }, ["header", "value"])),
  success: part({ body: members(ANY_TEXT, anything) }),
  failure: orNull(
    part({
      status: orNull(integer(200, 499)), body: members(ANY_TEXT, anything), status_at: PLACE, message_at: PLACE,
      code_at: PLACE,
    }),
  ),
});

/** @param {unknown} document @throws {TypeError} names the first member that is unknown or of another kind */
export const refuseMembers = (document) => DIALECT(document, "");
