// @ts-check
/**
 * An API with strict rotation and no tolerance at all: a refresh token that is shown twice ends its session.
 *
 * It answers on every host name that leads to it, so that one server is three origins: the page's own, another one that
 * may have the token, and a foreign one.
 */

import { createServer } from "node:http";

/** @typedef {{method: string, host: string, path: string, url: string, token: ?string, body: Buffer,
 *   headers: import("node:http").IncomingHttpHeaders}} Seen */
/** @typedef {{status?: number, headers?: Record<string, string>, body?: unknown, cut?: boolean, isMute?: boolean,
 *   isUnmeasured?: boolean}} Answer  cut: half of it; mute: without CORS headers; unmeasured: without a length */
/** @typedef {{user: string, id: string, current: string, older: Set<string>}} Owner */

const CORS = { "Access-Control-Allow-Methods": "*", "Access-Control-Expose-Headers": "*" };

/** Keeps the answers of one path until they are let go. */
class Gate {
  #waiting = 0;
  /** @type {(() => void)[]} */
  #watchers = [];
  #open = () => {};
  opened = new Promise((resolve) => (this.#open = () => resolve(null)));

  pass() {
    this.#waiting += 1;
    for (const watcher of this.#watchers) watcher();
    return this.opened;
  }

  /** Until so many requests have arrived. @returns {Promise<void>} */
  arrived(count = 1) {
    return new Promise((resolve, reject) => {
      const told = () => reject(new Error(`${this.#waiting} of ${count} requests arrived within 10 s`));
      const limit = setTimeout(told, 10_000);
      const look = () => {
        if (this.#waiting < count) return;
        clearTimeout(limit);
        resolve();
      };
      this.#watchers.push(look);
      look();
    });
  }

  release() {
    this.#open();
  }
}

export class Api {
  /** What arrived at the resources, in order. @type {Seen[]} */
  seen = [];
  /** What arrived at sign-in, refresh and sign-out. @type {Seen[]} */
  calls = [];
  /** Every secret that was given out. */
  secrets = new Set();
  refreshes = 0;
  reuses = 0;
  /** How a refused access token is answered. @type {Answer} */
  refusal = { status: 401, body: { code: 401, message: "expired" } };
  /** Where an access token is looked for. */
  header = "authorization";
  scheme = "Bearer ";
  /** What a pair is written as. @type {(pair: Record<string, unknown>) => unknown} */
  writes = (pair) => pair;
  /** Whether the refresh token goes to and fro in an HttpOnly cookie, which counts only beside the header for it. */
  isCookie = false;
  /** The next refreshes are answered with these instead. @type {Answer[]} */
  script = [];
  /** Paths that answer in a way of their own. @type {Map<string, (seen: Seen, isGood: boolean) => ?Answer>} */
  routes = new Map();
  port = 0;
  #issued = 0;
  /** @type {Map<string, Owner>} */
  #valid = new Map();
  /** @type {Map<string, Owner>} */
  #owners = new Map();
  /** @type {Map<string, Gate>} */
  #gates = new Map();

  /** @param {(path: string) => Promise<?Answer>} files what is served besides */
  constructor(files) {
    this.server = createServer(async (request, response) => {
      const chunks = [];
      try {
        for await (const chunk of request) chunks.push(chunk);
        const [path] = (request.url ?? "").split("?");
        const answer = (await files(path)) ?? (await this.#answer(request, Buffer.concat(chunks), path));
        const { status = 200, headers = {}, body = "", cut = false, isMute = false, isUnmeasured = false } = answer;
        const isRaw = typeof body === "string" || Buffer.isBuffer(body);
        const type = isRaw ? {} : { "Content-Type": "application/json" };
        const bytes = Buffer.from(isRaw ? body : JSON.stringify(body));
        const { origin, "access-control-request-headers": asked = "*" } = request.headers;
        const allowed = { ...CORS, "Access-Control-Allow-Origin": origin === "null" ? "*" : (origin ?? "*") };
        const cors = isMute ? {} : allowed;
        const length = isUnmeasured ? {} : { "Content-Length": bytes.length };
        const lists = { "Access-Control-Allow-Headers": asked, "Cache-Control": "no-store" };
        response.writeHead(status, { ...cors, ...lists, ...type, ...length, ...headers });
        // The length has been promised, so that half of it is a fault of the network.
        if (!cut) response.end(bytes);
        else response.write(bytes.subarray(0, bytes.length / 2), () => response.destroy());
      } catch {
        response.destroy();
      }
    });
  }

  /** @returns {Promise<Api>} */
  async listen() {
    await new Promise((resolve) => this.server.listen(0, "127.0.0.1", () => resolve(null)));
    this.port = /** @type {import("node:net").AddressInfo} */ (this.server.address()).port;
    return this;
  }

  close() {
    this.server.closeAllConnections();
    return new Promise((resolve) => this.server.close(resolve));
  }

  /** As new, but for the number of the next token. */
  reset() {
    const { server: _server, port: _port, ...fresh } = new Api(async () => null);
    for (const gate of this.#gates.values()) gate.release();
    this.#gates.clear();
    this.#valid.clear();
    this.#owners.clear();
    Object.assign(this, fresh);
  }

  /** Every access token has expired before its time. */
  expire() {
    this.#valid.clear();
  }

  /** Every session is over. */
  end() {
    this.#owners.clear();
    this.#valid.clear();
  }

  /** Keep the answers of a path. @param {string} path */
  hold(path) {
    const gate = new Gate();
    this.#gates.set(path, gate);
    return gate;
  }

  /** Later answers of a path are not kept. @param {string} path */
  holdNoMore(path) {
    this.#gates.delete(path);
  }

  /** What arrived at one path. @param {string} path */
  of(path) {
    return this.seen.filter((seen) => seen.path === path);
  }

  /** The access tokens that one path was asked with. @param {string} path */
  tokens(path) {
    return this.of(path).map(({ token }) => token);
  }

  /** @param {import("node:http").IncomingMessage} request @param {Buffer} body @param {string} path */
  async #answer({ method = "", url = "", headers }, body, path) {
    if (method === "OPTIONS") return { status: 204 };
    const sent = /** @type {?string} */ (headers[this.header] ?? null);
    const token = sent?.startsWith(this.scheme) ? sent.slice(this.scheme.length) : sent;
    const seen = { method, host: (headers.host ?? "").split(":")[0], path, url, headers, token, body };
    const isCall = ["/auth/login", "/auth/refresh", "/auth/logout"].includes(path);
    (isCall ? this.calls : this.seen).push(seen);
    if (path === "/auth/refresh") this.refreshes += 1;
    const owner = token === null ? undefined : this.#valid.get(token);
    await this.#gates.get(path)?.pass();
    const own = this.routes.get(path)?.(seen, owner !== undefined);
    if (own) return own;
    if (isCall) return this.#call(path, body, headers);
    if (!owner) return this.refusal;
    return { body: { code: 0, method, path, subject: owner.user } };
  }

  /**
   * @param {string} path
   * @param {Buffer} body
   * @param {import("node:http").IncomingHttpHeaders} headers
   * @returns {Answer}
   */
  #call(path, body, headers) {
    const { username, password, refresh_token } = JSON.parse(body.toString());
    const token = this.isCookie ? headers.cookie?.match(/refresh-[\d-]+/)?.[0] : refresh_token;
    if (path === "/auth/login") {
      if (password !== "right") return { status: 401, body: { code: "wrong_password" } };
      return this.#pair({ user: username, id: `session-${this.#issued}`, current: "", older: new Set() });
    }
    if (this.isCookie && headers["x-csrf-token"] !== "of-the-session") return { status: 403, body: { code: "csrf" } };
    const scripted = path === "/auth/refresh" ? this.script.shift() : undefined;
    if (scripted) return scripted;
    const owner = this.#owners.get(token);
    const isOld = owner?.older.has(token);
    if (owner && (isOld || path === "/auth/logout")) this.#forget(owner);
    if (path === "/auth/logout") return { status: 204 };
    if (isOld) this.reuses += 1;
    return owner && !isOld ? this.#pair(owner) : { status: 401, body: { code: "token_invalid" } };
  }

  /** @param {Owner} owner */
  #forget(owner) {
    for (const token of [...owner.older, owner.current]) this.#owners.delete(token);
    for (const [token, whose] of this.#valid) if (whose === owner) this.#valid.delete(token);
  }

  /** The next pair of a session. @param {Owner} owner @returns {Answer} */
  #pair(owner) {
    this.#issued += 1;
    if (owner.current) owner.older.add(owner.current);
    owner.current = `refresh-${this.#issued}-${this.port}`;
    const access_token = `access-${this.#issued}-${this.port}`;
    this.#owners.set(owner.current, owner);
    this.#valid.set(access_token, owner);
    this.secrets.add(access_token).add(owner.current);
    const pair = { access_token, expires_in: 3600, session_id: owner.id };
    if (!this.isCookie) return { body: this.writes({ ...pair, refresh_token: owner.current }) };
    const cookie = `sid=${owner.current}; HttpOnly; SameSite=Strict; Path=/auth`;
    return { headers: { "Set-Cookie": cookie }, body: { ...pair, csrf_token: "of-the-session" } };
  }
}
