// @ts-check
/** A WebSocket that says who it is by a first message or a subprotocol, and again where that is asked. */

import { Line, StreamError, target, tell } from "./line.js";

/** @typedef {import("../session.js").Session} Session */
/** @typedef {import("../gate.js").Holding} Holding */
/** @typedef {(socket: WebSocket, token: string) => void | Promise<void>} Authenticate */
/**
 * @typedef {object} SocketOptions
 * @property {string | string[] | ((token: string) => string[])} [protocols] a function puts the token into a subprotocol
 * @property {Authenticate} [authenticate] sends the first message; where it gives a promise, the socket counts as open
 *   once that is kept, and as lost if it is broken
 * @property {boolean | Authenticate} [reauthenticate] say it again, the same way or another, for each new access token
 * @property {number[]} [authCodes] the close codes by which the server refuses a token
 * @property {(event: CloseEvent) => boolean} [reconnects] whether it is opened again after the server has closed it
 *   otherwise; not after 1000, which says that it has done its work
 * @property {(socket: WebSocket) => void} [onopen] each time it is open and has said who it is
 * @property {(event: MessageEvent) => void} [onmessage]
 * @property {import("./line.js").OnError} [onerror] lost and to be opened again, or over
 * @property {AbortSignal} [signal]
 */
/**
 * @typedef {object} Socket
 * @property {(data: string | Blob | BufferSource) => void} send throws an
 *   InvalidStateError while it is not open
 * @property {() => void} close
 * @property {?WebSocket} socket the one that is open now
 * @property {Promise<?Error>} closed resolves when it is over: null where you or the server wanted it so
 */

/** 4401 as many servers say it; 1008 is what frameworks close with that know only the standard's codes. */
const AUTH_CODES = [4401, 1008];
/** Where a token that was just renewed is refused within this time, its age is not the reason. */
const UNHELPFUL_MS = 30_000;

/**
 * Keep a WebSocket open until it is closed or the session is over.
 * @param {Session} session
 * @param {string | URL} url ws, wss, http or https, or relative to the session's base URL; one of the session's origins
 * @param {SocketOptions} options
 * @returns {Socket}
 * @throws {TypeError} the URL is not the session's or carries a token, or there is no way to say who it is
 */
export function openSocket(session, url, options) {
  const { signal, onerror } = options;
  if (!options.authenticate && typeof options.protocols !== "function") {
    throw new TypeError("a socket sends no header: name authenticate(socket, token), or protocols(token)");
  }
  if (options.reauthenticate === true && !options.authenticate) {
    throw new TypeError("reauthenticate needs an authenticate(socket, token) to do it with, or is one itself");
  }
  if (!globalThis.WebSocket) throw new TypeError("there is no WebSocket here: open it in a page or worker");
  const href = target(session, url, true);
  /** @type {?WebSocket} */
  let open = null;
  let wasRefused = false;
  const line = new Line(session, { signal, onerror, connect: async (holding, ending) => {
    const openedAt = performance.now();
    const connection = new Connection(session, href, options, line, holding);
    const stop = () => connection.fail(ending.reason);
    ending.addEventListener("abort", stop);
    try {
      if (await connection.opened) {
        open = connection.socket;
        tell(options.onopen, open);
      }
      const event = await connection.closed;
      const { code } = event;
      if ((options.authCodes ?? AUTH_CODES).includes(code)) {
        const isAgain = wasRefused && performance.now() - openedAt < UNHELPFUL_MS;
        wasRefused = true;
        return await refused(session, connection.holding, code, isAgain, ending);
      }
      wasRefused = false;
      if (!(options.reconnects ?? ((/** @type {CloseEvent} */ closed) => closed.code !== 1000))(event)) return "over";
      throw new StreamError("stream_lost", `the socket was closed (${code})`, { closeCode: code });
    } finally {
      open = null;
      ending.removeEventListener("abort", stop);
      connection.close();
    }
  } });
  return {
    send: (data) => {
      if (!open) throw new DOMException("the socket is not open: wait for onopen", "InvalidStateError");
      open.send(data);
    },
    close: () => line.end(),
    closed: line.closed,
    get socket() {
      return open;
    },
  };
}

/**
 * The server has closed a socket because of its token; the gate decides, as for a request that was refused.
 * @param {Session} session
 * @param {Holding} holding
 * @param {number} closeCode
 * @param {boolean} isAgain it did so just before
 * @param {AbortSignal} signal
 * @returns {Promise<"again">}
 */
async function refused({ gate }, holding, closeCode, isAgain, signal) {
  const { expires } = holding;
  const hasEnded =
    expires !== null && (Date.now() >= expires.wall * 1000 || performance.now() >= expires.monotonic * 1000);
  if (isAgain && gate.refresher.holding === holding && !hasEnded) {
    const told = `the server refuses a token that has just been renewed (${closeCode})`;
    throw new StreamError("stream_refused", told, { closeCode });
  }
  if (await gate.refused(holding, false, null, signal)) return "again";
  const told = `the socket was closed (${closeCode}), and a request has just been refused with a new token too`;
  throw new StreamError("stream_lost", told, { closeCode });
}

/** One WebSocket, from its handshake to its end. */
class Connection {
  #session;
  #options;
  #line;
  #isOpen = false;
  /** @type {(error: unknown) => void} ends it, whatever the socket does */
  fail = () => {};
  #renewed = () => void this.#sayAgain();

  /**
   * @param {Session} session
   * @param {string} href
   * @param {SocketOptions} options
   * @param {Line} line
   * @param {Holding} holding
   */
  constructor(session, href, options, line, holding) {
    this.#session = session;
    this.#options = options;
    this.#line = line;
    /** What it has said last. */
    this.holding = holding;
    const { protocols = [] } = options;
    const offered = typeof protocols === "function" ? protocols(holding.access_token) : protocols;
    try {
      this.socket = new WebSocket(href, offered);
    } catch {
      // The browser's own words repeat the subprotocol, and with it the token.
      const told = "the browser refuses this URL or a subprotocol: each may be named once, in letters, digits, -._~";
      throw new StreamError("stream_refused", told);
    }
    const { socket } = this;
    /** @type {Promise<CloseEvent>} */
    this.closed = new Promise((resolve, reject) => {
      socket.addEventListener("close", resolve);
      this.fail = reject;
    });
    socket.addEventListener("message", (event) => {
      if (line.signal.aborted) return;
      if (this.#isOpen) line.proved();
      tell(options.onmessage, event);
    });
    this.opened = this.#open();
    session.addEventListener("token", this.#renewed);
  }

  close() {
    this.#session.removeEventListener("token", this.#renewed);
    // Also one whose handshake is not over; what it still has to say is not wanted.
    this.socket.close(1000);
  }

  /** Whether it has opened and said who it is, or was closed before; in a bounded time. */
  async #open() {
    const { socket } = this;
    const ready = new Promise((resolve) => socket.addEventListener("open", resolve));
    const seconds = this.#session.timeoutSeconds;
    const deadline = within(seconds * 1000, `the socket was not open within ${seconds} s`);
    try {
      const first = await Promise.race([ready.then(() => "open"), this.closed, deadline.passed]);
      if (first !== "open") return false;
      if (this.#options.authenticate) {
        // The handshake may have taken longer than the token lives.
        this.holding = await this.#line.holding();
        const said = Promise.resolve(this.#options.authenticate(socket, this.holding.access_token));
        await Promise.race([said, this.closed, deadline.passed]);
      }
      this.#isOpen = socket.readyState === WebSocket.OPEN;
      return this.#isOpen;
    } finally {
      deadline.stop();
    }
  }

  /** There is a new access token, and the server wants to know it. */
  async #sayAgain() {
    const { reauthenticate, authenticate } = this.#options;
    const say = reauthenticate === true ? authenticate : reauthenticate;
    if (!say || !this.#isOpen || this.socket.readyState !== WebSocket.OPEN) return;
    try {
      this.holding = await this.#line.holding();
      await say(this.socket, this.holding.access_token);
    } catch (error) {
      // A new connection says it anew.
      this.fail(error);
    }
  }
}

/** @param {number} ms @param {string} told @returns {{passed: Promise<never>, stop: () => void}} */
function within(ms, told) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let waiting;
  /** @type {Promise<never>} */
  const passed = new Promise((_, reject) => {
    waiting = setTimeout(() => reject(new StreamError("stream_lost", told)), ms);
  });
  return { passed, stop: () => clearTimeout(waiting) };
}
