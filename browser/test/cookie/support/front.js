// @ts-check
/**
 * What stands before the server: one port, any host name. It serves the page, the client's modules and an API whose
 * answers need an access token that the test still calls good; everything else goes on to the server.
 */

import { readFile } from "node:fs/promises";
import http from "node:http";
import https from "node:https";

import { within } from "../../chromium/support/within.js";

/** @typedef {http.IncomingMessage} Request */
/** @typedef {http.ServerResponse} Response */
/**
 * @typedef {object} Passed what went by
 * @property {string} host
 * @property {string} method
 * @property {string} path
 * @property {http.IncomingHttpHeaders} headers
 * @property {string} sent the body of the request
 * @property {number} status
 * @property {Headers} answered
 * @property {string} body of the answer
 */

const SOURCES = new URL("../../../src/", import.meta.url);
const PAGE = '<!doctype html><title>evertoken</title><script type="module" src="/page.js"></script>';
const BLANK = '<!doctype html><title>blank</title><link rel="icon" href="data:,">';
/** Not to be passed on by anyone in between (RFC 9110 §7.6.1). */
const HOP = new Set(["connection", "keep-alive", "transfer-encoding", "upgrade", "date"]);

/** @typedef {Record<string, string | string[] | number | undefined>} Headers */

/** @param {Headers | http.IncomingHttpHeaders} headers @returns {Headers} */
const passed = (headers) => Object.fromEntries(Object.entries(headers).filter(([name]) => !HOP.has(name)));

/** @param {string} token */
const subject = (token) => JSON.parse(Buffer.from(token.split(".")[1], "base64url").toString()).sub;

export class Front {
  /** @type {Passed[]} in the order of their answers */
  seen = [];
  /** Access tokens that the API takes, and whose they are. @type {Map<string, string>} */
  good = new Map();
  /** Every refresh cookie that was set, oldest first. @type {string[]} */
  cookies = [];
  /** Pages elsewhere that may call the API. @type {string[]} */
  allowed = [];
  /** Where `/api/away` leads to. */
  away = "";
  /** Put before the Cookie header of what goes on to the server. */
  tossed = "";
  /** Set-Cookie headers that `/plant` answers with. @type {string[]} */
  plants = [];
  /** @type {?number} the server's port */
  target = null;
  /** @type {{path: string, what: (answer: () => void, cut: () => void) => void}[]} */
  #plans = [];
  /** @type {Set<() => void>} */
  #watchers = new Set();
  #agent = new http.Agent({ keepAlive: true });

  /** @param {?{key: string, cert: string}} [certificate] with one, it speaks TLS */
  constructor(certificate = null) {
    const handle = (/** @type {Request} */ request, /** @type {Response} */ response) =>
      void this.#handle(request, response).catch(() => response.destroy());
    this.scheme = certificate ? "https" : "http";
    this.server = certificate ? https.createServer(certificate, handle) : http.createServer(handle);
    this.port = 0;
  }

  async listen() {
    await new Promise((resolve) => this.server.listen(0, "127.0.0.1", () => resolve(null)));
    this.port = /** @type {import("node:net").AddressInfo} */ (this.server.address()).port;
    return this;
  }

  close() {
    this.server.closeAllConnections();
    this.#agent.destroy();
    return new Promise((resolve) => this.server.close(resolve));
  }

  /** @param {string} host */
  origin(host) {
    return `${this.scheme}://${host}:${this.port}`;
  }

  /** For the next test. */
  reset() {
    this.seen = [];
    this.cookies = [];
    this.good.clear();
    this.#plans = [];
    this.away = "";
    this.plants = [];
    this.tossed = "";
  }

  /** What went by for one path. @param {string} path */
  of(path) {
    return this.seen.filter((each) => each.path === path);
  }

  /** Refreshes that the server has answered with a new access token. */
  get refreshes() {
    return this.of("/auth/refresh").filter(({ status }) => status === 200).length;
  }

  /** From now on the API takes no access token that was handed out until now. */
  expire() {
    this.good.clear();
  }

  /**
   * Keep the next answers of a path here; the server has given them already.
   * @param {string} path
   * @returns {{arrived: (count?: number) => Promise<void>, release: () => void, cut: () => void}}
   */
  hold(path) {
    /** @type {{answer: () => void, cut: () => void}[]} */
    const held = [];
    let isOpen = false;
    this.#plans.push({
      path,
      what: (answer, cut) => {
        if (isOpen) return answer();
        held.push({ answer, cut });
        this.#changed();
      },
    });
    const end = (/** @type {"answer" | "cut"} */ how) => {
      isOpen = true;
      this.#plans = this.#plans.filter((plan) => plan.path !== path);
      for (const each of held.splice(0)) each[how]();
    };
    return {
      arrived: (count = 1) => this.until(`${count} at ${path}`, () => held.length >= count),
      release: () => end("answer"),
      cut: () => end("cut"),
    };
  }

  /**
   * The server answers so many requests of a path, and all that arrives is the beginning of a body. (Without any byte
   * of an answer the browser itself would ask once more.)
   * @param {string} path
   * @param {number} [count]
   */
  lose(path, count = 1) {
    const plan = {
      path,
      what: (/** @type {() => void} */ _answer, /** @type {() => void} */ cut) => {
        count -= 1;
        if (count === 0) this.#plans = this.#plans.filter((each) => each !== plan);
        cut();
      },
    };
    this.#plans.push(plan);
  }

  /** @param {string} what @param {() => boolean} isTrue asked again with everything that goes by @param {number} [seconds] */
  async until(what, isTrue, seconds = 10) {
    /** @type {() => void} */
    let look = () => {};
    const come = new Promise((resolve) => {
      look = () => isTrue() && resolve(null);
      this.#watchers.add(look);
      look();
    });
    try {
      await within(what, come, seconds);
    } finally {
      this.#watchers.delete(look);
    }
  }

  #changed() {
    for (const look of [...this.#watchers]) look();
  }

  /** @param {Request} request @param {Response} response */
  async #handle(request, response) {
    const path = String(request.url).split("?")[0];
    if (await this.#file(path, response)) return;
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const sent = Buffer.concat(chunks);
    const { status, headers, body } = path.startsWith("/api/") ? this.#api(path, request) : await this.#pass(request, sent);
    this.#learn(headers, body);
    const { method = "", headers: asked } = request;
    const entry = { host: String(asked.host), method, path, headers: asked, sent: String(sent), status };
    this.seen.push({ ...entry, answered: headers, body });
    this.#changed();
    const plan = this.#plans.find((each) => each.path === path);
    const answer = () => {
      response.writeHead(status, passed(headers));
      response.end(body);
    };
    const cut = () => {
      response.writeHead(200, { "content-type": "application/json", "content-length": 4096 });
      response.write("{", () => response.destroy());
    };
    if (plan) plan.what(answer, cut);
    else answer();
  }

  /** @param {string} path @param {Response} response */
  async #file(path, response) {
    const pages = /** @type {Record<string, string>} */ ({ "/page": PAGE, "/blank": BLANK, "/plant": BLANK });
    if (path === "/plant") response.setHeader("Set-Cookie", this.plants);
    const isModule = path.startsWith("/client/") || path === "/page.js";
    if (!pages[path] && !isModule && path !== "/favicon.ico") return false;
    const file = path === "/page.js" ? new URL("page.js", import.meta.url) : new URL(path.slice("/client/".length), SOURCES);
    response.setHeader("Content-Type", isModule ? "text/javascript" : "text/html");
    response.end(isModule ? await readFile(file) : pages[path] ?? "");
    return true;
  }

  /** @param {string} path @param {Request} request */
  #api(path, { method, headers: { authorization, origin } }) {
    /** @type {Headers} */
    const headers = { "content-type": "application/json", "cache-control": "no-store" };
    if (origin && this.allowed.includes(origin)) {
      Object.assign(headers, {
        "access-control-allow-origin": origin, "access-control-allow-credentials": "true",
        "access-control-allow-headers": "authorization, content-type",
      });
    }
    if (method === "OPTIONS") return { status: 204, headers, body: "" };
    if (path === "/api/away") return { status: 302, headers: { ...headers, location: this.away }, body: "" };
    const who = this.good.get(String(authorization).replace(/^Bearer /, ""));
    if (who) return { status: 200, headers, body: JSON.stringify({ path, who }) };
    headers["www-authenticate"] = 'Bearer error="invalid_token"';
    return { status: 401, headers, body: JSON.stringify({ code: "token_expired" }) };
  }

  /** @param {Headers} headers @param {string} body */
  #learn(headers, body) {
    for (const line of [headers["set-cookie"] ?? []].flat()) {
      const value = /^[^=]+=(etr_[^;]+)/.exec(String(line))?.[1];
      if (value) this.cookies.push(value);
    }
    const token = /"access_token":"([^"]+)"/.exec(body)?.[1];
    if (token) this.good.set(token, subject(token));
  }

  /**
   * @param {Request} request
   * @param {Buffer} sent
   * @returns {Promise<{status: number, headers: Headers, body: string}>}
   */
  #pass(request, sent) {
    /** @type {Headers} */
    const headers = { ...passed(request.headers), ...(sent.length ? { "content-length": sent.length } : {}) };
    if (this.tossed) headers.cookie = [this.tossed, headers.cookie ?? []].flat().join("; ");
    const { url: path, method } = request;
    const options = { host: "127.0.0.1", port: this.target, path, method, headers, agent: this.#agent };
    return new Promise((resolve, reject) => {
      const onward = http.request(options, async (answer) => {
        try {
          const chunks = [];
          for await (const chunk of answer) chunks.push(chunk);
          resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(chunks).toString() });
        } catch (error) {
          reject(error);
        }
      });
      onward.on("error", reject);
      onward.end(sent);
    });
  }
}
