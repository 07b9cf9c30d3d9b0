// @ts-check
/** An API that speaks any dialect, written from its document alone: tokens a-1, r-1, a-2 and so on. */

import http from "node:http";

import { complete } from "../../../src/decide/dialect.js";

/** @typedef {import("../../../src/decide/dialect.js").Dialect} Dialect */

/** @param {any} document @param {?string} pointer @param {unknown} value */
function put(document, pointer, value) {
  if (!pointer) return;
  const steps = pointer.slice(1).split("/");
  const last = /** @type {string} */ (steps.pop());
  let at = document;
  for (const step of steps) at = at[step] ??= {};
  at[last] = value;
}

export class Speaker {
  /** Calls by name, in order: login, refresh, logout, csrf, other. @type {string[]} */
  calls = [];
  /** The headers of what went to the resource. @type {import("node:http").IncomingHttpHeaders[]} */
  seen = [];
  /** What goes wrong with the next refresh. @type {"over" | "html" | "null" | "stale" | null} */
  fault = null;
  generation = 0;
  /** Of the refresh token that is good. */
  newest = 0;
  isSignedIn = false;
  isExpired = false;

  /** @param {unknown} document */
  constructor(document) {
    this.dialect = complete(document);
    /** @type {[string, string, string][]} */
    this.routes = [];
    const { login, refresh, logout, csrf } = this.dialect;
    for (const [name, call] of /** @type {const} */ ([["login", login], ["refresh", refresh], ["logout", logout]])) {
      if (call) this.routes.push([name, call.method, call.url]);
    }
    if (csrf?.url) this.routes.push(["csrf", "GET", csrf.url]);
  }

  /** @param {import("node:test").TestContext} t */
  async listen(t) {
    const server = http.createServer((request, response) => void this.handle(request, response));
    await new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(null)));
    t.after(() => {
      server.closeAllConnections();
      server.close();
    });
    return `http://127.0.0.1:${/** @type {import("node:net").AddressInfo} */ (server.address()).port}`;
  }

  /** @param {http.IncomingMessage} request @param {http.ServerResponse} response */
  async handle(request, response) {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const text = Buffer.concat(chunks).toString();
    const { pathname } = new URL(request.url ?? "", "http://api");
    const name = this.routes.find(([, method, url]) => method === request.method && url === pathname)?.[0] ?? "other";
    this.calls.push(name);
    const body = text ? JSON.parse(text) : {};
    if (name === "other") return this.#resource(request, response);
    if (name === "login") return body.password === "right" ? this.#tokens(response, "login") : this.#failure(response, 401, "bad_credentials");
    if (name === "csrf") return this.isSignedIn ? this.#tokens(response, "csrf") : this.#failure(response, 401, "none");
    if (!this.isSignedIn || this.#presented(name, request, body) !== this.#own()) return this.#refused(response);
    if (name === "logout") {
      this.isSignedIn = false;
      response.statusCode = 204;
      return response.end();
    }
    const { fault } = this;
    this.fault = null;
    if (fault === "over") return this.#refused(response);
    if (fault === "stale") return this.#failure(response, 503, "stale", this.dialect.stale[0]);
    if (fault === "html") return response.setHeader("Content-Type", "text/html").end("<html>");
    if (fault === "null") return this.#send(response, 200, { ...this.dialect.success.body, data: null });
    this.#tokens(response, "refresh");
  }

  /** What proves the session: the refresh token, or in cookie mode the CSRF token beside the cookie. */
  #own() {
    return this.dialect.csrf ? "c-1" : `r-${this.newest}`;
  }

  /** @param {string} name @param {http.IncomingMessage} request @param {any} body */
  #presented(name, { url, headers }, body) {
    const { csrf } = this.dialect;
    const call = /** @type {any} */ (this.dialect)[name];
    const { kind, name: place, scheme } = call.token;
    if (kind === "body") return body[place];
    if (kind === "query") return new URL(url ?? "", "http://api").searchParams.get(place);
    if (kind === "cookie") return /session=s-1/.test(headers.cookie ?? "") && headers[csrf?.header.toLowerCase() ?? ""];
    const said = String(headers[place.toLowerCase()]);
    return scheme && !said.startsWith(`${scheme} `) ? null : said.slice(scheme ? scheme.length + 1 : 0);
  }

  /** @param {http.IncomingMessage} request @param {http.ServerResponse} response */
  #resource(request, response) {
    const { header, scheme } = this.dialect.access_token;
    const said = request.headers[header.toLowerCase()];
    this.seen.push(request.headers);
    if (this.isSignedIn && !this.isExpired && said === `${scheme ? `${scheme} ` : ""}a-${this.generation}`) {
      return this.#send(response, 200, { ...this.dialect.success.body, who: "ada" });
    }
    if (request.url === "/broken") return this.#failure(response, 400, "broken");
    const { expired, over } = this.dialect;
    const rule = this.isSignedIn || !over.length ? expired[0] : over[0];
    this.#failure(response, 401, "token_expired", rule);
  }

  /** @param {http.ServerResponse} response */
  #refused(response) {
    this.isSignedIn = false;
    this.#failure(response, 401, "session_over", this.dialect.refresh_over[0]);
  }

  /** @param {http.ServerResponse} response @param {"login" | "refresh" | "csrf"} call */
  #tokens(response, call) {
    const { tokens, success, refresh_token_in_answer: manner, csrf } = this.dialect;
    const document = structuredClone(success.body);
    if (call !== "csrf") {
      this.generation += 1;
      this.isExpired = false;
      this.isSignedIn = true;
      put(document, tokens.access_token, `a-${this.generation}`);
    }
    if (call === "login" || (call === "refresh" && manner !== "never")) {
      this.newest = this.generation;
      put(document, tokens.refresh_token, `r-${this.newest}`);
    }
    put(document, tokens.session_id, "s-1");
    put(document, tokens.csrf_token, "c-1");
    if (csrf) {
      response.appendHeader("Set-Cookie", "session=s-1; HttpOnly; SameSite=Strict; Path=/");
      if (csrf.cookie) response.appendHeader("Set-Cookie", `${csrf.cookie}=c-1; SameSite=Strict; Path=/`);
    }
    this.#send(response, 200, document);
  }

  /** @param {http.ServerResponse} response @param {number} status @param {string} code @param {import("../../../src/decide/dialect.js").Match} [rule] */
  #failure(response, status, code, rule) {
    const { failure } = this.dialect;
    /** @type {any} */
    const document = structuredClone(failure?.body ?? { status });
    put(document, failure?.status_at ?? null, status);
    put(document, failure?.message_at ?? null, "it did not work");
    put(document, failure ? failure.code_at : "/code", code);
    for (const [place, [value]] of Object.entries(rule?.body ?? {})) put(document, place, value);
    this.#send(response, rule?.status ?? (status < 429 ? failure?.status ?? status : status), document);
  }

  /** @param {http.ServerResponse} response @param {number} status @param {unknown} document */
  #send(response, status, document) {
    response.statusCode = status;
    if (status === 503) response.setHeader("Retry-After", "0");
    response.setHeader("Content-Type", "application/json");
    response.end(JSON.stringify(document));
  }
}
