// @ts-check
/** What no dialect can mean though each member is well formed, and what is not safe. Pure. */

import { HEADER, refusal, within } from "./members.js";
import { unescaped } from "./origins.js";
import { steps } from "./pointer.js";

/** @typedef {import("./dialect.js").Dialect} Dialect */
/** @typedef {import("./dialect.js").AuthCall} AuthCall */

/** Headers that the browser or the encoding of the body decides. */
const NOT_OURS = [
  "host", "content-length", "transfer-encoding", "connection", "cookie", "content-type", "accept-encoding", "origin",
];

/** @param {string} header @param {string} other */
const isOne = (header, other) => header.toLowerCase() === other.toLowerCase();

/** @param {Dialect} dialect @returns {[string, AuthCall][]} the calls that there are, by their places */
const callsOf = ({ login, refresh, logout }) => {
  /** @type {[string, ?AuthCall][]} */
  const named = [["/login", login], ["/refresh", refresh], ["/logout", logout]];
  return /** @type {[string, AuthCall][]} */ (named.filter(([, call]) => call));
};

/**
 * Look at the members together.
 * @param {Dialect} dialect
 * @throws {TypeError} names the member that cannot stay as it is
 */
export function refuseContradictions(dialect) {
  for (const [name, call] of callsOf(dialect)) lookAtCall(name, call, dialect);
  lookAtPaths(dialect);
  lookAtCookie(dialect);
  lookAtHeaders(dialect);
  lookAtTokens(dialect);
}

/** @param {string} name @param {AuthCall} call @param {Dialect} dialect */
function lookAtCall(name, call, dialect) {
  lookAtUrl(`${name}/url`, call.url);
  const isLogin = name === "/login";
  const isGet = call.method === "GET";
  if (isLogin && isGet) throw refusal(`${name}/method`, "would put the password into the URL: use POST");
  if (call.username === call.password) throw refusal(`${name}/password`, "is the same member as the user name");
  for (const [member, value] of Object.entries(call.body)) {
    if (call.encoding === "form" && typeof value === "object") {
      throw refusal(within(`${name}/body`, member), "cannot be written in a form: use a plain value");
    }
  }
  if (isGet && Object.keys(call.body).length) throw refusal(`${name}/body`, "is never sent: a GET has no body");
  const taken = isLogin ? [call.username, call.password] : call.token.kind === "body" ? [call.token.name] : [];
  for (const member of taken) {
    if (Object.hasOwn(call.body, member)) throw refusal(within(`${name}/body`, member), "is where the call's own value goes");
  }
  if (!isLogin) lookAtTokenPlace(name, call);
  const own = [dialect.csrf?.header, !isLogin && call.token.kind === "header" && call.token.name].filter((each) => !!each);
  const headers = Object.keys(call.headers);
  for (const [index, header] of headers.entries()) {
    const at = within(`${name}/headers`, header);
    refuseNotOurs(at, header);
    if (headers.slice(0, index).some((each) => isOne(each, header))) throw refusal(at, "is there twice, in another case");
    if (own.some((each) => isOne(/** @type {string} */ (each), header))) throw refusal(at, "is where a token goes");
  }
}

/** @param {string} at @param {string} url */
function lookAtUrl(at, url) {
  const path = unescaped(url.replace(/^https?:\/\/[^/]*/, "").split("?")[0]);
  if (path.startsWith("//") || path.split("/").some((step) => step === "." || step === "..") || /[\\\p{C}]/u.test(path)) {
    throw refusal(at, "leads elsewhere than it says: no //, no dot segments, no backslash");
  }
}

/** @param {string} name @param {AuthCall} call */
function lookAtTokenPlace(name, { method, url, token }) {
  const { kind, scheme } = token;
  if (scheme !== null && kind !== "header") throw refusal(`${name}/token/scheme`, "only a header has a scheme");
  if (kind === "body" && method === "GET") throw refusal(`${name}/token/kind`, "a GET has no body for the token");
  if (kind === "header") {
    HEADER(token.name, `${name}/token/name`);
    refuseNotOurs(`${name}/token/name`, token.name);
  }
  if (kind === "query" && new URLSearchParams(url.split("?")[1]).has(token.name)) {
    throw refusal(`${name}/token/name`, "is in the URL of the call already");
  }
}

/** @param {string} at @param {string} header */
function refuseNotOurs(at, header) {
  if (NOT_OURS.includes(header.toLowerCase())) throw refusal(at, "is not for a dialect to set");
}

/** @param {Dialect} dialect */
function lookAtPaths(dialect) {
  const found = callsOf(dialect).map(([name, { method, url }]) => [`${name}/url`, method, url]);
  if (dialect.csrf?.url) {
    lookAtUrl("/csrf/url", dialect.csrf.url);
    found.push(["/csrf/url", "GET", dialect.csrf.url]);
  }
  /** @type {Map<string, string>} */
  const seen = new Map();
  for (const [at, method, url] of found) {
    const key = `${method} ${url.split("?")[0]}`;
    if (seen.has(key)) throw refusal(at, `is the call of ${seen.get(key)}: the same method and the same path`);
    seen.set(key, at);
  }
}

/** @param {Dialect} dialect */
function lookAtCookie(dialect) {
  const { csrf, tokens } = dialect;
  const calls = callsOf(dialect).filter(([name]) => name !== "/login");
  const byCookie = calls.filter(([, { token }]) => token.kind === "cookie");
  if (!byCookie.length) {
    if (csrf) throw refusal("/csrf", "is for a refresh token in a cookie, and no call has one");
    if (tokens.csrf_token !== null) throw refusal("/tokens/csrf_token", "is for a refresh token in a cookie, and no call has one");
    return;
  }
  if (!csrf) throw refusal("/csrf", `is missing: ${byCookie[0][0]} sends a cookie, which any page could have sent`);
  const other = calls.find(([, { token }]) => token.kind !== "cookie");
  if (other) throw refusal(`${other[0]}/token/kind`, "must be cookie too: no page can read what is in the cookie");
  if (tokens.refresh_token !== null) {
    throw refusal("/tokens/refresh_token", "must be null: what is in an HttpOnly cookie is in no body");
  }
  if (dialect.refresh_token_in_answer !== "new") {
    throw refusal("/refresh_token_in_answer", "must be new: the cookie is in no body");
  }
  if (csrf.cookie === null && tokens.csrf_token === null) {
    throw refusal("/csrf", "no page learns the CSRF token: say csrf.cookie or tokens.csrf_token");
  }
  if (csrf.url !== null && tokens.csrf_token === null) {
    throw refusal("/tokens/csrf_token", "is missing: csrf.url would have nothing to say");
  }
}

/** @param {Dialect} dialect */
function lookAtHeaders({ access_token, csrf, opt_out }) {
  refuseNotOurs("/access_token/header", access_token.header);
  for (const [at, header] of [["/csrf/header", csrf?.header], ["/opt_out/header", opt_out?.header]]) {
    if (!at || !header) continue;
    if (isOne(header, access_token.header)) throw refusal(at, "is where the access token goes");
    refuseNotOurs(at, header);
  }
  if (csrf && opt_out && isOne(csrf.header, opt_out.header)) throw refusal("/opt_out/header", "is where the CSRF token goes");
}

/** @param {Dialect} dialect */
function lookAtTokens({ tokens, refresh_token_in_answer: manner, failure, reason }) {
  refuseOverlap(Object.entries(tokens).map(([name, place]) => [`/tokens/${name}`, place]));
  if (manner === "always" && tokens.refresh_token === null) {
    throw refusal("/refresh_token_in_answer", "always what? tokens.refresh_token says no place");
  }
  if (!failure) return;
  const { status_at, message_at, code_at } = failure;
  refuseOverlap([
    ["/failure/status_at", status_at], ["/failure/message_at", message_at], ["/failure/code_at", code_at],
    ["/reason", reason],
  ]);
}

/** Two values at one place, or one inside another. @param {[string, ?string][]} places */
function refuseOverlap(places) {
  /** @type {[string, string[]][]} */
  const seen = [];
  for (const [at, place] of places) {
    if (place === null) continue;
    const own = steps(place);
    for (const [other, before] of seen) {
      if (before.every((step, index) => index >= own.length || step === own[index])) {
        throw refusal(at, `is at, within or around the place of ${other}`);
      }
    }
    seen.push([at, own]);
  }
}
