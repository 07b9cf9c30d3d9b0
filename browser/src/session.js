// @ts-check
/** The session of one user at one server, for every tab that shares its store. */

import { LONGEST_BODY_READ, parseBody, refusal, wantsBody } from "./decide/answers.js";
import { absolute, readUpTo, sendCall } from "./calls.js";
import { Channel } from "./keep/channel.js";
import { Gate } from "./gate.js";
import { Home } from "./decide/origins.js";
import { ownSpeech } from "./decide/speech.js";
import { account, dialects, fallbacks } from "./parts.js";
import { indexedDBStore, sheltered } from "./keep/stores.js";
import { veil } from "./keep/veil.js";
import { watch } from "./waking.js";

/** @typedef {import("./gate.js").Holding} Holding */
/** @typedef {import("./decide/record.js").Record} Record */
/** @typedef {import("./decide/speech.js").Speech} Speech */
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
  /** How the API speaks, once that is known. @type {?Speech} */
  speech = null;
  /** In cookie mode. @type {ReturnType<typeof veil> | undefined} */
  veil;
  gate = new Gate(this);
  #channel;
  #dialect;
  #closing = new AbortController();
  #isWatching = false;
  #hasSeenSomebody = false;

  /** @param {Settings} settings */
  constructor({ baseURL = globalThis.location?.origin, delivery, store, dialect, origins, timeoutSeconds = 30,
    name = "evertoken" }) {
    super();
    this.baseURL = String(baseURL).replace(/\/+$/, "");
    this.home = new Home(this.baseURL, origins);
    this.timeoutSeconds = timeoutSeconds;
    this.#channel = new Channel(`evertoken:${name}`);
    this.store = sheltered(store ?? indexedDBStore(name), ({ message }) => this.lack("no storage", ` (${message})`));
    this.#dialect = dialect;
    if (!dialect || dialect === "evertoken") this.#speak(ownSpeech((delivery ?? (store ? "body" : "cookie")) === "cookie"));
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
    const isOver = !stored || stored.ended !== null;
    if (isCookie && (isOver || (stored?.refresh_expires_at ?? Infinity) <= Date.now() / 1000)) {
      stored = await (await account()).ask(this, stored);
    } else if (isOver) {
      stored = null;
    }
    if (!stored) return false;
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
    const untouched = () => globalThis.fetch(target, init);
    if (!auth || !this.home.covers(url)) return untouched();
    const { header, scheme, optsOut } = await this.ready();
    const headers = new Headers(init.headers ?? request?.headers);
    if (!this.home.covers(url) || optsOut?.(headers)) return untouched();
    const isRepeatable = !(init.body instanceof ReadableStream);
    const send = async (/** @type {Holding} */ { access_token }) => {
      headers.set(header, scheme + access_token);
      const answer = await globalThis.fetch(request?.clone() ?? target, { ...init, headers });
      return { answer, refusal: await this.judge(answer) };
    };
    return (await this.gate.sent(send, isRepeatable, init.signal ?? request?.signal)).answer;
  }

  /**
   * Whether an answer is a refusal of the access token.
   * @param {Response} response
   * @returns {Promise<?{over: ?string}>}
   */
  async judge(response) {
    const { status, headers } = response;
    const speech = /** @type {Speech} */ (this.speech);
    if (response.redirected && !this.home.covers(response.url)) return null;
    const reads = wantsBody(speech, status, headers.get("Content-Type"), headers.get("Content-Length"));
    return refusal(speech, status, reads ? parseBody(await readUpTo(LONGEST_BODY_READ, response.clone())) : undefined);
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
  async ready() {
    if (!this.speech) {
      const { readDialect } = await dialects();
      const speech = await readDialect(this.#dialect);
      if (!this.speech) this.#speak(speech);
    }
    this.#watch();
    return /** @type {Speech} */ (this.speech);
  }

  /** Say that something is weaker than it should be. @param {string} what @param {string} [more] */
  lack(what, more = "") {
    const at = this.weaknesses.push(what + more) - 1;
    // Without the words for it, at least what it is.
    const told = (/** @type {string} */ words) => this.tell("weaker", { what, message: (this.weaknesses[at] += words) });
    fallbacks().then(({ weaker }) => told(weaker(what)), () => told(""));
  }

  /** @param {string} type @param {{[member: string]: unknown}} [more] */
  tell(type, more) {
    this.dispatchEvent(Object.assign(new Event(type), more));
  }

  /**
   * One of the API's own calls, once.
   * @param {import("./decide/speech.js").Call} name
   * @param {?string} token
   * @param {number} timeoutMs
   * @param {{[member: string]: unknown}} [members]
   */
  call(name, token, timeoutMs, members) {
    return sendCall(this.baseURL, /** @type {Speech} */ (this.speech).call(name, token, members), timeoutMs);
  }

  /** @param {string} reason */
  onEnd(reason) {
    this.#channel.tell({ changed: true });
    this.tell("signedout", { reason });
  }

  /** @param {boolean} isFetched */
  onRenew(isFetched) {
    if (isFetched) this.#channel.tell({ changed: true });
    this.tell("token");
  }

  /** @param {Speech} speech */
  #speak(speech) {
    this.home.leaveOut(speech.ownCalls.map((url) => absolute(this.baseURL, url)));
    if (speech.isCookie) this.veil = veil(this.#channel);
    this.speech = speech;
  }

  #watch() {
    if (this.#isWatching) return;
    this.#isWatching = true;
    if (globalThis.location) {
      if (!globalThis.navigator?.locks) this.lack("no Web Locks");
      if (!this.#channel.open) this.lack("no BroadcastChannel");
    }
    if (this.speech?.weakness) this.lack(this.speech.weakness);
    let hasFetchedAhead = false;
    /** @type {(renews: boolean, isIdle?: boolean) => Promise<void>} */
    const look = async (renews, isIdle) => {
      // So that a page which stays open can sign out also when the files it came from are gone.
      if (isIdle && !hasFetchedAhead) account().catch(() => {});
      hasFetchedAhead ||= !!isIdle;
      try {
        const stored = await this.gate.look(renews);
        const isSomebody = stored?.ended === null;
        // Another tab has signed in while nobody is signed in here.
        if (isSomebody && !this.user && !this.#hasSeenSomebody) this.tell("signedin", { isElsewhere: true });
        this.#hasSeenSomebody = isSomebody;
      } catch {
        // Nobody waits for it, and the next request tells.
      }
    };
    let isAway = false;
    // A frozen tab hears the others, but a transaction that it began would hold all of them up.
    this.#channel.hear(({ changed }) => void (changed && !isAway && look(false)));
    watch(look, () => this.gate.refresher.cameOnline(), (isIt) => {
      isAway = isIt;
      this.gate.wasAway ||= isIt;
    }, this.#closing.signal);
  }
}

/** @param {Settings} [settings] */
export const createSession = (settings = {}) => new Session(settings);
