// @ts-check
/**
 * What stands before a server and the application beside it: two ports of one name, so that a page can live on the one
 * and its API on the other. It serves the page, and passes everything else on, which a test may hold, cut or answer.
 */

import { readFile } from "node:fs/promises";
import http from "node:http";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";

import { within } from "../../chromium/support/within.js";

/** @typedef {http.IncomingMessage} Request */
/** @typedef {http.ServerResponse} Response */
/** @typedef {{method: string, path: string, url: string, token: ?string, headers: http.IncomingHttpHeaders,
 *   sent: Buffer, status: number, body: string}} Passed */
/** @typedef {{status: number, headers: http.OutgoingHttpHeaders, body: Buffer}} Answer */
/** @typedef {{path: string, count: number, before?: (entry: Passed) => Promise<void>,
 *   after?: (entry: Passed) => Promise<void>, strips?: boolean, cuts?: boolean, answer?: Answer}} Plan */

const HERE = new URL("../", import.meta.url);
const CLIENT = new URL("../../../src/", import.meta.url);
const MODULES = new URL("../../../node_modules/", import.meta.url);
const ROOMS = /** @type {[RegExp, (name: string) => URL][]} */ ([
  [/^\/setups\/(.+\.js)$/, (name) => new URL(`setups/${name}`, HERE)],
  [/^\/support\/(.+\.js)$/, (name) => new URL(`support/${name}`, HERE)],
  [/^\/build\/(axios\d*)\.js$/, (name) => new URL(`${name}/dist/axios.js`, MODULES)],
]);
/** Not to be passed on by anyone in between (RFC 9110 §7.6.1). */
const HOP = new Set(["connection", "keep-alive", "transfer-encoding", "upgrade", "date"]);
const TOKEN_HEADERS = ["authorization", "token"];

/** @type {?Promise<Map<string, Uint8Array>>} */
let bundling = null;

/** The client as a bundler makes it, with its parts that are loaded later: so many pages need few files each. */
function bundle() {
  bundling ??= build({
    entryPoints: [fileURLToPath(new URL("index.js", CLIENT))],
    bundle: true, splitting: true, format: "esm", target: "esnext", outdir: "/client", write: false,
  }).then(({ outputFiles }) => new Map(outputFiles.map(({ path, contents }) => [path, contents])));
  return bundling;
}

/** @param {http.IncomingHttpHeaders | http.OutgoingHttpHeaders} headers @returns {http.OutgoingHttpHeaders} */
const passed = (headers) => Object.fromEntries(Object.entries(headers).filter(([name]) => !HOP.has(name)));

export class Front {
  /** What went by, in the order in which it was asked. @type {Passed[]} */
  seen = [];
  /** What its pages are told: their set-up, their build of axios, where their API is. @type {Record<string, unknown>} */
  told = {};
  /** What it serves besides, as text: pages, and scripts by names that end with .js. @type {Record<string, string>} */
  files = {};
  /** @type {number} the server's port */
  target = 0;
  /** Requests that are under way and not held by a test. */
  open = 0;
  /** @type {Plan[]} */
  #plans = [];
  /** Where refreshes go that may not be repeated, what they were, and whether one was. */
  #once = { path: "", shown: new Set(), isBroken: false };
  /** @type {Set<() => void>} */
  #watchers = new Set();
  #agent = new http.Agent({ keepAlive: true });

  constructor() {
    const handle = (/** @type {Request} */ request, /** @type {Response} */ response) =>
      void this.#handle(request, response).catch(() => response.destroy());
    this.servers = [http.createServer(handle), http.createServer(handle)];
    /** Where the page is, and where its API may be. */
    this.origins = ["", ""];
  }

  async listen() {
    for (const [index, server] of this.servers.entries()) {
      await new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(null)));
      const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
      this.origins[index] = `http://localhost:${port}`;
    }
    return this;
  }

  async close() {
    this.#agent.destroy();
    for (const server of this.servers) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  }

  /** For the next test. */
  reset() {
    this.seen = [];
    this.#plans = [];
    this.forgiveNothing("");
  }

  /** What went by for one path. @param {string} path */
  of(path) {
    return this.seen.filter((each) => each.path === path);
  }

  /**
   * Keep the next requests of a path here: before the server hears of them, or once it has answered.
   * @param {string} path
   * @param {"asked" | "answered"} when
   * @param {number} [count]
   */
  hold(path, when, count = Infinity) {
    let arrived = 0;
    let open = () => {};
    const opened = new Promise((resolve) => (open = () => resolve(null)));
    const wait = async () => {
      arrived += 1;
      this.open -= 1;
      this.#changed();
      await opened;
      this.open += 1;
    };
    /** @type {Plan} */
    const plan = { path, count, ...(when === "asked" ? { before: wait } : { after: wait }) };
    this.#plans.push(plan);
    return {
      arrived: (least = 1) => this.until(`${least} at ${path}`, () => arrived >= least),
      release: () => {
        this.#plans = this.#plans.filter((each) => each !== plan);
        open();
      },
    };
  }

  /**
   * The next requests of a path get half an answer, and then the connection is gone.
   * @param {string} path
   * @param {number} [count]
   */
  cut(path, count = Infinity) {
    this.#plans.push({ path, count, cuts: true });
  }

  /**
   * The next requests of a path get this, and the server hears nothing.
   * @param {string} path
   * @param {number} status
   * @param {number} [count]
   */
  answer(path, status, count = Infinity) {
    const body = Buffer.from(JSON.stringify({ title: `${status} by the test` }));
    const headers = { "content-type": "application/json", "content-length": body.length };
    this.#plans.push({ path, count, answer: { status, headers, body } });
  }

  /**
   * The next requests of a path reach the guard without a token, and it refuses them in its own words.
   * @param {string} path
   * @param {number} [count]
   */
  strip(path, count = Infinity) {
    this.#plans.push({ path, count, strips: true });
  }

  /**
   * Be like the servers that end a session whose refresh token is shown twice: from then on refreshes reach evertoken
   * with a token that it does not know.
   * @param {string} path of the refresh
   */
  forgiveNothing(path) {
    this.#once = { path, shown: new Set(), isBroken: false };
  }

  /**
   * @param {string} what
   * @param {() => boolean} isTrue asked again with everything that goes by
   * @param {number} [seconds]
   */
  async until(what, isTrue, seconds = 10) {
    let look = () => {};
    const come = new Promise((resolve) => {
      look = () => isTrue() && resolve(null);
      this.#watchers.add(look);
      look();
    });
    await within(what, come, seconds).finally(() => this.#watchers.delete(look));
  }

  /** Until nothing has been under way for so long: whoever still waits then waits for nothing. @param {number} [ms] */
  async quiet(ms = 350) {
    for (let last = -1; last !== this.seen.length || this.open > 0; ) {
      await this.until("an end of all requests", () => this.open === 0, 20);
      last = this.seen.length;
      await new Promise((resolve) => setTimeout(resolve, ms));
    }
  }

  #changed() {
    for (const look of [...this.#watchers]) look();
  }

  /** The plan for a request, which is one less for it. @param {string} path @param {keyof Plan} member */
  #plan(path, member) {
    const plan = this.#plans.find((each) => each.path === path && each[member] && each.count > 0);
    if (plan) plan.count -= 1;
    return plan;
  }

  /** @param {Request} request @param {Response} response */
  async #handle(request, response) {
    const { method = "", url = "" } = request;
    const path = url.split("?")[0];
    if (method === "GET" && (await this.#file(path, response))) return;
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const sent = Buffer.concat(chunks);
    if (method === "OPTIONS") return write(response, await this.#pass(request, sent));
    const { headers } = request;
    const found = TOKEN_HEADERS.map((name) => headers[name]).find((value) => value !== undefined);
    const token = found ? String(found) : null;
    /** @type {Passed} */
    const entry = { method, path, url, token, headers, sent, status: 0, body: "" };
    this.seen.push(entry);
    this.open += 1;
    try {
      await this.#plan(path, "before")?.before?.(entry);
      const isCut = this.#plan(path, "cuts");
      const own = this.#plan(path, "answer")?.answer;
      if (this.#plan(path, "strips")) for (const name of TOKEN_HEADERS) delete headers[name];
      const answer = own ?? (await this.#pass(request, path === this.#once.path ? this.#unforgiven(request, sent) : sent));
      entry.status = answer.status;
      entry.body = answer.body.toString();
      await this.#plan(path, "after")?.after?.(entry);
      if (isCut) return void this.#half(request, response);
      write(response, own ? { ...answer, headers: { ...answer.headers, ...this.#cors(request) } } : answer);
    } finally {
      this.open -= 1;
      this.#changed();
    }
  }

  /** The body of a refresh, and its URL and headers in place. @param {Request} request @param {Buffer} sent */
  #unforgiven(request, sent) {
    const { authorization, cookie } = request.headers;
    const shown = [request.url, authorization, cookie, sent].join().match(/etr_[\w-]+/)?.[0];
    this.#once.isBroken ||= this.#once.shown.has(shown);
    this.#once.shown.add(shown);
    if (!this.#once.isBroken) return sent;
    const spoilt = (/** @type {unknown} */ text) => String(text ?? "").replaceAll("etr_", "etx_");
    request.url = spoilt(request.url);
    Object.assign(request.headers, { authorization: spoilt(authorization), cookie: spoilt(cookie) });
    return Buffer.from(spoilt(sent));
  }

  /** @param {Request} request @returns {http.OutgoingHttpHeaders} */
  #cors({ headers: { origin } }) {
    return origin ? { "access-control-allow-origin": origin, "access-control-allow-credentials": "true" } : {};
  }

  /** Without any byte of an answer the browser itself would ask once more. @param {Request} request @param {Response} response */
  #half(request, response) {
    response.writeHead(200, { "content-type": "application/json", "content-length": 4096, ...this.#cors(request) });
    response.write("{", () => response.destroy());
  }

  /** @param {string} path @param {Response} response */
  async #file(path, response) {
    if (path in this.files) {
      response.setHeader("Content-Type", path.endsWith(".js") ? "text/javascript" : "text/html");
      response.end(this.files[path]);
      return true;
    }
    if (path === "/" || path === "/login") {
      response.setHeader("Content-Type", "text/html");
      response.setHeader("Cache-Control", "no-store");
      response.end(this.#page());
      return true;
    }
    const bundled = (await bundle()).get(path);
    if (bundled) {
      response.setHeader("Content-Type", "text/javascript");
      response.end(bundled);
      return true;
    }
    for (const [pattern, place] of ROOMS) {
      const name = pattern.exec(path)?.[1];
      if (!name) continue;
      response.setHeader("Content-Type", "text/javascript");
      response.end(await readFile(place(name)));
      return true;
    }
    if (path === "/favicon.ico") response.end();
    return path === "/favicon.ico";
  }

  #page() {
    const { axios, ...told } = this.told;
    return `<!doctype html><title>a page</title>
      <script>Object.assign(window, ${JSON.stringify({ ...told, shown: [] })})</script>
      <script src="/build/${axios}.js"></script>
      <script type="module" src="/support/page.js"></script>`;
  }

  /** @param {Request} request @param {Buffer} sent @returns {Promise<Answer>} */
  #pass(request, sent) {
    const headers = { ...passed(request.headers), ...(sent.length ? { "content-length": sent.length } : {}) };
    const { url: path, method } = request;
    const options = { host: "127.0.0.1", port: this.target, path, method, headers, agent: this.#agent };
    return new Promise((resolve, reject) => {
      const onward = http.request(options, async (answer) => {
        try {
          const chunks = [];
          for await (const chunk of answer) chunks.push(chunk);
          resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(chunks) });
        } catch (error) {
          reject(error);
        }
      });
      onward.on("error", reject);
      onward.end(sent);
    });
  }
}

/** @param {Response} response @param {Answer} answer */
function write(response, { status, headers, body }) {
  response.writeHead(status, passed(headers));
  response.end(body);
}
