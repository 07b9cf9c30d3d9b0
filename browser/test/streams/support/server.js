// @ts-check
/**
 * A server with sign-in, refresh with strict rotation, guarded resources, streams of events and sockets; it also serves
 * pages and the client's modules, so that a browser has all of it from one origin.
 */

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

import { ServerSocket } from "./websocket.js";

/** @typedef {import("node:http").IncomingMessage} IncomingMessage */
/** @typedef {import("node:http").ServerResponse} ServerResponse */

export const SOURCES = fileURLToPath(new URL("../../../", import.meta.url));
/** Also where a test moves the clock. */
const later = globalThis.setTimeout;
const TYPES = /** @type {Record<string, string>} */ ({ ".js": "text/javascript", ".html": "text/html" });

/** One stream of events, from the server's side. */
export class ServerStream {
  isGone = false;
  #gone;

  /** @param {IncomingMessage} request @param {ServerResponse} response */
  constructor(request, response) {
    this.headers = request.headers;
    this.response = response;
    this.#gone = new Promise((resolve) => response.on("close", () => resolve((this.isGone = true))));
  }

  /** @param {Record<string, string>} [more] */
  accept(more = {}) {
    this.response.writeHead(200, { "Content-Type": "text/event-stream", ...more });
    this.response.flushHeaders();
    return this;
  }

  /** @param {string | Uint8Array} bytes */
  send(bytes) {
    this.response.write(bytes);
    return this;
  }

  end() {
    this.response.end();
  }

  /** @param {number} status @param {Record<string, string>} [headers] */
  refuse(status, headers = {}) {
    this.response.writeHead(status, headers).end();
  }

  /** The connection breaks without a word. */
  drop() {
    this.response.destroy();
  }

  gone() {
    return within(this.#gone, "the stream to be gone");
  }
}

/**
 * @template T
 * @param {Promise<T>} promise
 * @param {string} what
 * @param {number} [ms]
 * @returns {Promise<T>}
 */
export function within(promise, what, ms = 10_000) {
  /** @type {any} */
  let timer;
  const late = new Promise((_, reject) => {
    timer = later(() => reject(new Error(`waited ${ms} ms in vain for ${what}`)), ms);
  });
  return /** @type {Promise<T>} */ (Promise.race([promise, late]).finally(() => clearTimeout(timer)));
}

/** What arrives one after the other, and may be waited for before it does. @template T */
class Arrivals {
  /** @type {T[]} */
  all = [];
  /** @type {((item: T) => void)[]} */
  #waiting = [];
  #taken = 0;

  /** @param {T} item */
  add(item) {
    this.all.push(item);
    this.#hand();
  }

  /** The next that nobody has taken. @param {string} what @returns {Promise<T>} */
  next(what) {
    /** @type {Promise<T>} */
    const promise = new Promise((resolve) => this.#waiting.push(resolve));
    this.#hand();
    return within(promise, what);
  }

  #hand() {
    while (this.#waiting.length && this.#taken < this.all.length) this.#waiting.shift()?.(this.all[this.#taken++]);
  }
}

export class Server {
  url = "";
  /** Folder whose src/ is served at /client/src/. */
  sources = SOURCES;
  /** Further files, by path: their text. @type {Map<string, string>} */
  files = new Map();
  /** Whose session an access token is, while it is accepted. @type {Map<string, string>} */
  valid = new Map();
  refreshes = 0;
  /** Refresh tokens that were shown a second time. */
  reuses = 0;
  /** How long an access token lives, as sign-in and refresh tell. */
  lifetimeSeconds = 3600;
  /** Paths of what was asked with a token that was refused. @type {string[]} */
  refused = [];
  /** Status with which every refresh is answered; null: as it deserves. @type {?number} */
  refreshFails = null;
  /** Paths of everything that was asked. @type {string[]} */
  seen = [];
  streams = /** @type {Arrivals<ServerStream>} */ (new Arrivals());
  sockets = /** @type {Arrivals<ServerSocket>} */ (new Arrivals());
  held = Promise.resolve();
  #issued = 0;
  /** @type {Map<string, string>} */
  #current = new Map();
  #connections = new Set();

  http = createServer((request, response) => {
    this.#answer(request, response).catch((error) => response.destroy(error));
  });

  static async start() {
    const server = new Server();
    server.http.on("connection", (socket) => {
      server.#connections.add(socket);
      socket.on("close", () => server.#connections.delete(socket));
    });
    server.http.on("upgrade", (request, connection) => server.sockets.add(new ServerSocket(request, connection)));
    await new Promise((resolve) => server.http.listen(0, "127.0.0.1", () => resolve(null)));
    const { port } = /** @type {import("node:net").AddressInfo} */ (server.http.address());
    server.url = `http://127.0.0.1:${port}`;
    return server;
  }

  stop() {
    for (const connection of this.#connections) connection.destroy();
    return new Promise((resolve) => this.http.close(resolve));
  }

  /** Every access token has expired before its time. */
  expire() {
    this.valid.clear();
  }

  /** The session of everybody is over: refreshes are refused. */
  end() {
    this.valid.clear();
    this.#current.clear();
  }

  /** Keep refreshes waiting; the result lets them go. */
  hold() {
    /** @type {any} */
    let release;
    this.held = new Promise((resolve) => (release = resolve));
    return /** @type {() => void} */ (release);
  }

  stream() {
    return this.streams.next("a stream to be opened");
  }

  socket() {
    return this.sockets.next("a socket to be opened");
  }

  /** @param {IncomingMessage} request @param {ServerResponse} response */
  async #answer(request, response) {
    const { pathname } = new URL(request.url ?? "", this.url);
    this.seen.push(pathname);
    let body = "";
    for await (const chunk of request) body += chunk;
    const json = (/** @type {number} */ status, /** @type {any} */ answer) =>
      response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(answer));
    const file = this.files.get(pathname) ?? (await this.#module(pathname));
    if (file !== null) {
      const type = TYPES[extname(pathname)] ?? "text/html";
      return response.writeHead(200, { "Content-Type": type, "Cache-Control": "no-store" }).end(file);
    }
    if (pathname === "/favicon.ico") return response.writeHead(204).end();
    if (pathname === "/auth/login") return json(200, this.#tokens(JSON.parse(body).username));
    if (pathname === "/auth/logout") return response.writeHead(204).end();
    if (pathname === "/auth/refresh") {
      this.refreshes += 1;
      await this.held;
      if (this.refreshFails) return json(this.refreshFails, {});
      const token = JSON.parse(body).refresh_token;
      const who = this.#current.get(token);
      this.#current.delete(token);
      if (who) return json(200, this.#tokens(who));
      this.reuses += 1;
      return json(401, { code: "token_invalid" });
    }
    const token = (request.headers.authorization ?? "").replace("Bearer ", "");
    const who = this.valid.get(token);
    if (!who) {
      this.refused.push(pathname);
      return json(401, { code: "token_expired" });
    }
    if (pathname.startsWith("/events")) return this.streams.add(new ServerStream(request, response));
    json(200, { who, pathname });
  }

  /** @param {string} pathname @returns {Promise<?string>} */
  async #module(pathname) {
    if (!pathname.startsWith("/client/")) return null;
    return readFile(join(this.sources, normalize(`/${pathname.slice("/client/".length)}`)), "utf8");
  }

  /** @param {string} who */
  #tokens(who) {
    this.#issued += 1;
    const access_token = `access-${this.#issued}`;
    const refresh_token = `refresh-${this.#issued}`;
    this.#current.set(refresh_token, who);
    this.valid.set(access_token, who);
    return { access_token, refresh_token, expires_in: this.lifetimeSeconds, session_id: `session-of-${who}` };
  }
}

/** An event loop's worth of promises; for what has to have not happened. */
export const turn = () => new Promise((resolve) => setImmediate(resolve));
