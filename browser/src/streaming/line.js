// @ts-check
/**
 * What a stream and a socket have in common: opened with an access token that lives, opened again when it is lost, and
 * over with the session, with the user it was opened for, or when the caller says so.
 */

import { SessionError, signedOut } from "../errors.js";
import { isSameUser } from "../gate.js";

/** @typedef {import("../session.js").Session} Session */
/** @typedef {import("../gate.js").Holding} Holding */
/** @typedef {(error: Error, next: {retryInSeconds: ?number}) => void} OnError  null: it is over */

const FIRST_PAUSE_MS = 1000;
const SHORTEST_PAUSE_MS = 100;
/** Failures in a row make the pauses longer, up to this; what a server asks for may be longer still. */
const LONGEST_BACKOFF_MS = 30_000;
const LONGEST_PAUSE_MS = 3_600_000;
/** This part of a pause is added by lot, so that the pages of a server that restarts do not come back together. */
const PAUSE_JITTER = 0.5;
/** How soon a renewal ahead of time that has failed is tried again. */
const RENEW_AGAIN_MS = 5_000;

/** Where tokens get into logs and histories, by the names under which they are put there. */
const TELLING_NAMES = /^(access|refresh|id)?_?-?(token|jwt|bearer|authorization)$/i;

/** Why a stream or socket was lost, or refused for good. */
export class StreamError extends Error {
  /**
   * @param {"stream_lost" | "stream_refused"} code
   * @param {string} message
   * @param {{status?: number, closeCode?: number, retryAfterSeconds?: ?number, cause?: unknown}} more
   */
  constructor(code, message, { cause, ...more } = {}) {
    super(message, { cause });
    this.name = "StreamError";
    this.code = code;
    /** Of an HTTP answer that was no stream. @type {number | undefined} */
    this.status = more.status;
    /** Of a socket that was closed. @type {number | undefined} */
    this.closeCode = more.closeCode;
    /** What the server asks for. @type {?number} */
    this.retryAfterSeconds = more.retryAfterSeconds ?? null;
  }
}

/**
 * The URL to open, if the access token may go there and does not stand in it.
 * @param {Session} session
 * @param {string | URL} url relative to the session's base URL
 * @param {boolean} isSocket
 * @returns {string}
 * @throws {TypeError} it is not the session's, or carries a token
 */
export function target(session, url, isSocket) {
  const found = new URL(url, `${session.baseURL}/`);
  found.protocol = found.protocol.replace(/^ws/, "http");
  const names = [...found.searchParams.keys()];
  const token = session.gate.refresher.holding?.access_token;
  if (found.username || found.password || names.some((name) => TELLING_NAMES.test(name)) || carries(found.href, token)) {
    const told = "a URL stands in logs and histories: no token in it";
    throw new TypeError(isSocket ? `${told}, but in a first message or subprotocol` : `${told}, it goes into a header`);
  }
  if (!session.home.covers(found.href)) {
    throw new TypeError(`no access token goes to ${found.origin}${found.pathname}: name it in the session's origins`);
  }
  if (isSocket) found.protocol = found.protocol.replace(/^http/, "ws");
  found.hash = "";
  return found.href;
}

/** @param {string} href @param {string | undefined} token */
const carries = (href, token) =>
  token !== undefined && (href.includes(token) || href.includes(encodeURIComponent(token)));

/**
 * Call an application's function; what it throws is its own, and goes where what event listeners throw goes.
 * @param {((...given: any[]) => unknown) | undefined} hear
 * @param {any[]} given
 */
export function tell(hear, ...given) {
  try {
    hear?.(...given);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}

/** @param {Holding["renew"]} moment @returns {number} by the clock that is further on */
const msUntil = (moment) =>
  moment ? Math.min(moment.wall * 1000 - Date.now(), moment.monotonic * 1000 - performance.now()) : Infinity;

export class Line {
  #session;
  #onerror;
  #connect;
  #ending = new AbortController();
  /** @type {?Error} */
  #why = null;
  #owner;
  #failures = 0;
  /** The first pause after a loss, as the server wishes it. @type {?number} */
  retryMs = null;

  /**
   * @param {Session} session
   * @param {{signal?: ?AbortSignal, onerror?: OnError,
   *   connect: (holding: Holding, signal: AbortSignal) => Promise<"over" | "again">}} how
   *   connect keeps one connection until it is lost, and rejects with why; "again": open it anew without a pause
   */
  constructor(session, { signal, onerror, connect }) {
    this.#session = session;
    /** Whose line it is; where nobody is known yet, whoever its first token belongs to. */
    this.#owner = session.gate.own;
    this.#onerror = onerror;
    this.#connect = connect;
    /** Resolves when it is over for good: with null where that was wanted, else with why. @type {Promise<?Error>} */
    this.closed = this.#live(signal);
  }

  /** Aborted when it is over. */
  get signal() {
    return this.#ending.signal;
  }

  /** @param {?Error} [why] null: it was wanted */
  end(why = null) {
    if (this.signal.aborted) return;
    this.#why = why;
    this.#ending.abort();
    if (why) tell(this.#onerror, why, { retryInSeconds: null });
  }

  /** It has worked: the next loss is the first. */
  proved() {
    this.#failures = 0;
  }

  /** An access token that lives, of the user that the line is for. */
  async holding() {
    const { gate } = this.#session;
    await this.#session.ready();
    const holding = await gate.enter(false, this.signal);
    // Another user who has signed in meanwhile has ended the line.
    this.signal.throwIfAborted();
    if (!this.#owner.is_signed_in) this.#owner = gate.own;
    return holding;
  }

  /** @param {?AbortSignal} [signal] */
  async #live(signal) {
    const session = this.#session;
    const stop = () => this.end();
    const ended = (/** @type {any} */ { reason }) =>
      this.end(signedOut(reason));
    const check = () => {
      if (!isSameUser(this.#owner, session.gate.own)) this.end(anew());
    };
    /** @type {[EventTarget | null | undefined, string, (event: any) => void][]} */
    const listening = [
      [signal, "abort", stop],
      [session, "signedout", ended],
      [session, "token", check],
      [session, "signedin", check],
    ];
    for (const [source, type, hear] of listening) source?.addEventListener(type, hear);
    if (signal?.aborted) stop();
    // The caller has its handle by the time it hears anything.
    await null;
    while (!this.signal.aborted) await this.#once();
    for (const [source, type, hear] of listening) source?.removeEventListener(type, hear);
    return this.#why;
  }

  /** One connection, and the pause after it. */
  async #once() {
    let stopRenewing = () => {};
    try {
      const holding = await this.holding();
      stopRenewing = this.#renewAhead();
      if ((await this.#connect(holding, this.signal)) === "over") this.end();
    } catch (cause) {
      if (this.signal.aborted) return;
      const isOurs = cause instanceof SessionError || cause instanceof StreamError;
      const error = /** @type {any} */ (cause instanceof Error ? cause : new StreamError("stream_lost", String(cause), { cause }));
      const isOver = isOurs && !["refresh_unavailable", "stream_lost"].includes(cause.code);
      if (isOver) return this.end(error);
      const pauseMs = this.#pauseMs(error.retryAfterSeconds);
      // A fault of the application's own is heard of, also where it does not listen.
      const unheard = () => {
        if (!isOurs) throw error;
      };
      tell(this.#onerror ?? unheard, error, { retryInSeconds: pauseMs / 1000 });
      await this.#pause(pauseMs);
    } finally {
      stopRenewing();
    }
  }

  /** @param {?number | undefined} retryAfterSeconds */
  #pauseMs(retryAfterSeconds) {
    const first = Math.max(SHORTEST_PAUSE_MS, this.retryMs ?? FIRST_PAUSE_MS);
    const grown = Math.min(first * 2 ** this.#failures, Math.max(first, LONGEST_BACKOFF_MS));
    this.#failures += 1;
    const least = Math.max(grown, (retryAfterSeconds ?? 0) * 1000);
    return Math.min(LONGEST_PAUSE_MS, least * (1 + PAUSE_JITTER * Math.random()));
  }

  /** Until the time is over, the network is back, or the line is over. @param {number} ms */
  #pause(ms) {
    return new Promise((/** @type {(value: void) => void} */ resolve) => {
      const done = () => {
        clearTimeout(waiting);
        this.signal.removeEventListener("abort", done);
        globalThis.removeEventListener?.("online", done);
        resolve();
      };
      const waiting = setTimeout(done, ms);
      this.signal.addEventListener("abort", done);
      globalThis.addEventListener?.("online", done);
      if (this.signal.aborted) done();
    });
  }

  /**
   * While a connection is open its session is in use, even if nothing else is sent: renewed before its token ends.
   * @returns {() => void} stops it
   */
  #renewAhead() {
    const { gate } = this.#session;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let waiting;
    let isStopped = false;
    const arm = (leastMs = 0) => {
      const ms = Math.max(leastMs, msUntil(gate.refresher.holding?.renew ?? null));
      if (!isStopped && ms < Infinity) waiting = setTimeout(renew, Math.min(ms, LONGEST_PAUSE_MS));
    };
    const renew = async () => {
      try {
        if (msUntil(gate.refresher.holding?.renew ?? null) <= 0) await gate.enter(false, this.signal);
        arm(msUntil(gate.refresher.holding?.renew ?? null) <= 0 ? RENEW_AGAIN_MS : 0);
      } catch (error) {
        if (this.signal.aborted) return;
        // The connection goes on with the token that it has; only the end of the session is its end.
        if (/** @type {any} */ (error).code === "signed_out") return this.end(/** @type {Error} */ (error));
        arm(RENEW_AGAIN_MS);
      }
    };
    arm();
    return () => {
      isStopped = true;
      clearTimeout(waiting);
    };
  }
}

const anew = () =>
  new SessionError("signed_out", "somebody else has signed in: open it again", { reason: "signed_in_anew" });
