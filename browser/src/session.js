// @ts-check
/** The session of one user at one server, for every tab that shares its store. */

import { cookieCarrying } from "./decide/carrying.js";
import { Channel } from "./keep/channel.js";
import { Gate } from "./gate.js";
import { absolute, Home } from "./decide/origins.js";
import { account, bodies, dialects, fallbacks, refreshing, upkeep } from "./parts.js";
import { indexedDBStore } from "./keep/indexed_db.js";
import { veil } from "./keep/veil.js";
import { untilAborted } from "./waits.js";

/** @typedef {import("./gate.js").Holding} Holding */
/** @typedef {import("./decide/record.js").Record} Record */
/** @typedef {import("./decide/carrying.js").Carrying} Carrying */
/**
 * @typedef {object} Settings
 * @property {string} [baseURL] the server's; the page's own origin
 * @property {"cookie" | "body"} [delivery] where evertoken's server puts the refresh token: an HttpOnly cookie, the
 *   access token then staying in memory; or the body, both tokens then standing in the store. Cookie, unless a store is
 *   named
 * @property {import("./gate.js").Store} [store] IndexedDB
 * @property {string | import("./decide/dialect.js").DialectDocument} [dialect] how another API speaks: a built-in's
 *   name, or a document
 * @property {string[]} [origins] further origins that get the access token; the base URL's always does
 * @property {number} [timeoutSeconds] the longest wait for an access token
 * @property {string} [name] of the database and what else tabs share; another one for a second server
 */

export class Session extends EventTarget {
  /** What this browser or page lacks, and what is weaker by it. @type {string[]} */
  weaknesses = [];
  /** How the API speaks, once that is known: in cookie mode no more than how requests carry the token. @type {?Carrying} */
  speech = null;
  /** In cookie mode. @type {ReturnType<typeof veil> | undefined} */
  veil;
  gate = new Gate(this);
  #channel;
  #dialect;
  #closing = new AbortController();
  /** @type {Promise<Carrying> | undefined} */
  #beginning;

  /** @param {Settings} settings */
  constructor({ baseURL = globalThis.location?.origin, delivery, store, dialect, origins, timeoutSeconds = 30,
    name = "evertoken" }) {
    super();
    this.baseURL = String(baseURL).replace(/\/+$/, "");
    this.home = new Home(this.baseURL, origins);
    this.timeoutSeconds = timeoutSeconds;
    this.store = store ?? indexedDBStore(name);
    this.#channel = new Channel(`evertoken:${name}`);
    this.#dialect = dialect === "evertoken" ? "" : dialect;
    if (!this.#dialect && (delivery ?? (store ? "body" : "cookie")) === "cookie") this.#speak(cookieCarrying);
  }

  /** Who is signed in on this page; null: nobody. The account is what was typed at sign-in, where that is remembered. */
  get user() {
    const { is_signed_in, session_id = null, account = null } = this.gate.own;
    // Somebody whom a cookie told has no name.
    return is_signed_in ? { session_id, account: account === `session:${session_id}` ? null : account } : null;
  }

  /**
   * Whether somebody is signed in; the page goes on with whoever it is. Asks the server only in cookie mode, where
   * nothing is remembered.
   * @throws {import("./errors.js").SessionError} it could not be found out
   */
  async restore() {
    const { isCookie } = await this.ready();
    let [, stored] = await this.gate.read(true);
    const isPast = !stored || stored.ended || (stored.refresh_expires_at ?? Infinity) <= Date.now() / 1000;
    if (isCookie && isPast) stored = await (await account()).ask(this, stored);
    if (!stored || stored.ended) return false;
    this.gate.adopt(stored);
    this.tell("signedin", { isElsewhere: false });
    return true;
  }

  /**
   * Sign in.
   * @param {{username: string, password: string, [member: string]: unknown}} who  other members are sent along
   */
  async login(who) {
    await this.ready();
    return (await account()).signIn(this, who);
  }

  /** End the session, at the server and in every tab. @throws {SessionError} not confirmed; the tokens are kept */
  async logout() {
    await this.ready();
    return (await account()).signOut(this);
  }

  /** A new access token, now; for an application that has changed what it may do. @throws {SessionError} */
  async renew() {
    await this.ready();
    return this.gate.renew();
  }

  /**
   * An access token that lives for a while, for what is no request: a first message, a subprotocol.
   * @param {{signal?: AbortSignal}} [options]
   * @throws {SessionError}
   */
  async token({ signal } = {}) {
    await this.ready();
    return (await this.gate.enter(false, signal)).access_token;
  }

  /**
   * As fetch: with the access token for the session's own origins, and once more if it was refused.
   * @param {RequestInfo | URL} input
   * @param {RequestInit & {auth?: boolean}} [init]  `auth: false` opts out
   * @returns {Promise<Response>}
   */
  async fetch(input, { auth = true, ...init } = {}) {
    const request = input instanceof Request ? input : null;
    const url = request?.url ?? new URL(/** @type {string} */ (input), `${this.baseURL}/`).href;
    const target = request ?? url;
    const headers = new Headers(init.headers ?? request?.headers);
    const signal = init.signal ?? request?.signal;
    const isOurs = () => auth && this.home.covers(url);
    const speech = isOurs() && (await this.ready());
    if (!speech || !isOurs() || speech.optsOut?.(headers)) return globalThis.fetch(target, init);
    const send = async (/** @type {Holding} */ { access_token }) => {
      headers.set(speech.header, speech.scheme + access_token);
      const answer = await globalThis.fetch(request?.clone() ?? target, { ...init, headers });
      return { answer, refusal: await untilAborted(this.judge(answer), signal) };
    };
    const isRepeatable = !(init.body instanceof ReadableStream);
    return (await this.gate.sent(send, isRepeatable, signal)).answer;
  }

  /**
   * Whether an answer is a refusal of the access token.
   * @param {Response} response
   * @returns {Promise<?{over: ?string}>}
   * @throws {SessionError} it is one, but what it says cannot be looked into now
   */
  async judge(response) {
    const { status } = response;
    const speech = /** @type {Carrying} */ (this.speech);
    if (!speech.mayRefuse(status) || (response.redirected && !this.home.covers(response.url))) return null;
    return refreshing().then(({ judge }) => judge(speech, response), (error) => {
      // What cannot be looked into is the application's, but for what a 401 says in any language.
      if (status === 401) throw error;
      return null;
    });
  }

  /** Let go of the page: no renewal on waking, no word from other tabs. Nobody is signed out by it. */
  close() {
    this.#closing.abort();
    this.#channel.close();
  }

  /**
   * How the API speaks. From the first use on, so that making a session changes nothing anywhere, the page is watched.
   * For the modules of this package.
   * @throws {TypeError} the dialect is none
   */
  ready() {
    // Not waited for; where it does not load, it is asked for with the next use.
    refreshing().catch(() => {});
    return (this.#beginning ??= this.#begin());
  }

  async #begin() {
    const { open } = this.#channel;
    const again = () => (this.#beginning = undefined);
    try {
      if (!this.speech) {
        this.#speak(this.#dialect ? await (await dialects()).readDialect(this.#dialect, this) : (await bodies()).bodySpeech);
      }
      if (globalThis.location) {
        if (!(open && globalThis.navigator?.locks)) (await fallbacks()).tellLacks(this, !!open);
        // Not waited for; where it does not load, it is asked for with the next use.
        upkeep().then(({ watch }) => watch(this, this.#channel, this.#closing.signal), again);
      }
      return /** @type {Carrying} */ (this.speech);
    } catch (error) {
      again();
      throw error;
    }
  }

  /**
   * @param {string} type
   * @param {{[member: string]: unknown}} more
   * @param {boolean} [isNews] for other tabs, too
   */
  tell(type, more, isNews) {
    if (isNews) this.#channel.tell({ changed: true });
    this.dispatchEvent(Object.assign(new Event(type), more));
  }

  /** @param {Carrying} speech */
  #speak(speech) {
    this.home.leaveOut(speech.ownCalls.map((url) => absolute(this.baseURL, url)));
    if (speech.isCookie) this.veil = veil(this.#channel);
    this.speech = speech;
  }
}

/** @param {Settings} [settings] */
export const createSession = (settings = {}) => new Session(settings);
