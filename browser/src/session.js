// @ts-check
/** The session of one user at one server, for every tab that shares its store. */

import { readTokens } from "./decide/answers.js";
import { absolute, readUpTo, sendCall } from "./calls.js";
import { Channel } from "./keep/channel.js";
import {
  complete, EVERTOKEN, EVERTOKEN_COOKIE, find, LONGEST_BODY_READ, parseBody, reasonIn, refreshVerdict, verdict,
  wantsBody,
} from "./decide/dialect.js";
import { SessionError } from "./errors.js";
import { Gate } from "./gate.js";
import { Home } from "./decide/origins.js";
import { render, renewed, successor } from "./decide/record.js";
import { indexedDBStore, sheltered } from "./keep/stores.js";
import { veiled } from "./keep/veiled.js";
import { watch } from "./waking.js";

/** @typedef {import("./gate.js").Holding} Holding */
/** @typedef {import("./decide/record.js").Record} Record */
/**
 * @typedef {object} Settings
 * @property {string} [baseURL] the server's; the page's own origin
 * @property {"cookie" | "body"} [delivery] where evertoken's server puts the refresh token: an HttpOnly cookie, the
 *   access token then staying in memory; or the body, both tokens then standing in the store. Cookie, unless a store is
 *   named
 * @property {import("./gate.js").Store} [store] IndexedDB
 * @property {Partial<import("./decide/dialect.js").Dialect>} [dialect] how another API speaks
 * @property {string[]} [origins] further origins that get the access token; the base URL's always does
 * @property {number} [timeoutSeconds] the longest wait for an access token
 * @property {string} [name] of the database and what else tabs share; another one for a second server
 */

/** How long a sign-out waits for its answer. */
const SIGN_OUT_MS = 10_000;

/**
 * What stands for an account that nobody has named: two sessions that were found by their cookies are two users.
 * @param {?string} sessionId
 */
const unnamed = (sessionId) => `session:${sessionId}`;

export class Session extends EventTarget {
  #channel;
  #stopWatching = () => {};
  #isWatching = false;
  #hasSeenSomebody = false;

  /** @param {Settings} settings */
  constructor({ baseURL = globalThis.location?.origin, delivery, store, dialect, origins = [], timeoutSeconds = 30,
    name = "evertoken" }) {
    super();
    const isCookie = (delivery ?? (store || dialect ? "body" : "cookie")) === "cookie";
    this.baseURL = String(baseURL).replace(/\/+$/, "");
    this.dialect = complete(dialect ?? (isCookie ? EVERTOKEN_COOKIE : EVERTOKEN));
    const { login, refresh, csrf } = this.dialect;
    const ownCalls = [login, refresh, csrf].flatMap((call) => (call ? [absolute(this.baseURL, call.url)] : []));
    this.home = new Home(this.baseURL, origins, ownCalls);
    this.timeoutSeconds = timeoutSeconds;
    /** What this browser or page lacks, and what is weaker by it. @type {string[]} */
    this.weaknesses = [];
    this.#channel = new Channel(`evertoken:${name}`);
    const kept = sheltered(store ?? indexedDBStore(name), (cause) =>
      this.#lack(`no storage (${/** @type {Error} */ (cause).message}): a reload asks the server anew, or signs out`),
    );
    this.gate = new Gate({
      server: this.baseURL,
      dialect: this.dialect,
      store: isCookie ? veiled(kept, this.#channel) : kept,
      send: (record, timeoutMs) => sendCall(this.baseURL, refresh, {}, record.refresh_token, timeoutMs),
      timeoutSeconds,
      onEnd: (reason) => {
        this.#channel.tell({ changed: true });
        this.#dispatch("signedout", { reason });
      },
      onRenew: (isFetched) => {
        if (isFetched) this.#channel.tell({ changed: true });
        this.#dispatch("token", {});
      },
    });
  }

  /** Who is signed in on this page; null: nobody. The account is what was typed at sign-in, where that is remembered. */
  get user() {
    const { is_signed_in, session_id = null, account = null } = this.gate.own;
    return is_signed_in ? { session_id, account: account === unnamed(session_id) ? null : account } : null;
  }

  /**
   * Whether somebody is signed in; the page goes on with whoever it is. Asks the server only in cookie mode, where
   * nothing is remembered.
   * @throws {SessionError} it could not be found out
   */
  async restore() {
    this.#watch();
    let [, stored] = await this.gate.read(true);
    const isPast = this.dialect.csrf && (stored?.refresh_expires_at ?? Infinity) <= Date.now() / 1000;
    if (!stored || stored.ended !== null || isPast) {
      const found = await this.#found();
      const isSame = found !== null && found.session_id !== null && found.session_id === stored?.session_id;
      // The browser keeps the cookie of a session that has ended at the server.
      if (!found || (isSame && stored?.ended !== null)) return false;
      if (!isSame) stored = await this.#replace(found);
    }
    this.gate.adopt(/** @type {Record} */ (stored));
    this.#dispatch("signedin", { isElsewhere: false });
    return true;
  }

  /**
   * Sign in.
   * @param {{username: string, password: string, [member: string]: unknown}} who  other members are sent along
   */
  async login({ username, password, ...more }) {
    const call = this.dialect.login;
    if (!call) throw new SessionError("sign_in_refused", "the dialect has no sign-in");
    this.#watch();
    const members = { [call.username ?? ""]: username, [call.password ?? ""]: password, ...more };
    const signIn = async () => {
      const sentAt = Date.now() / 1000;
      const { status, document } = await this.#asked(call, members, null, this.timeoutSeconds * 1000, "sign-in");
      const isGood = status >= 200 && status < 300 && verdict(this.dialect, status, document) === "accepted";
      const said = readTokens(this.dialect, document);
      if (!isGood || "unusable" in said) {
        const reason = find(document, "/code") ?? String(status);
        const detail = find(document, "/detail") ?? "";
        throw new SessionError("sign_in_refused", `sign-in refused (${reason}) ${detail}`.trim(), { reason });
      }
      return this.#replace(successor({ ...this.#empty(), account: username }, said.tokens, sentAt));
    };
    // Under the lease where there is a cookie: that of a refresh of the session before must not come after ours.
    const record = await (call.credentials ? this.#underLease(signIn) : signIn());
    this.gate.tookOver(renewed(record, true));
    this.#dispatch("signedin", { isElsewhere: false });
    if (this.dialect.csrf && new URL(this.baseURL).origin !== globalThis.location?.origin) {
      const kept = await this.#found().catch(() => record);
      if (kept?.session_id !== record.session_id) {
        this.#lack("the browser keeps no cookie of this server (is it another site?): signed in until the token ends");
      }
    }
  }

  /** End the session, at the server and in every tab. @throws {SessionError} not confirmed; the tokens are kept */
  async logout() {
    await this.#underLease(async () => {
      const [document, stored] = await this.gate.read(true);
      const call = this.dialect.logout;
      // What the storage has forgotten, the browser's cookie still knows.
      const token = stored?.refresh_token ?? (await this.#found())?.refresh_token;
      if (call && token) {
        const { status, document: said } = await this.#asked(call, {}, token, SIGN_OUT_MS, "sign-out");
        const isOver = status === 401 || refreshVerdict(this.dialect, status, said) === "over";
        if ((status < 200 || status >= 300) && !isOver) {
          throw new SessionError("refresh_unavailable", `the server has not confirmed the sign-out (${status})`);
        }
      }
      await this.gate.around.store.swap(document, null);
    });
    this.gate.tookOver({ ended: { reason: "signed_out" } });
  }

  /** A new access token, now; for an application that has changed what it may do. @throws {SessionError} */
  async renew() {
    await this.gate.renew();
  }

  /**
   * An access token that lives for a while, for what is no request: a first message, a subprotocol.
   * @param {{signal?: AbortSignal}} [options]
   * @throws {SessionError}
   */
  async token({ signal } = {}) {
    return (await this.gate.enter(false, signal)).access_token;
  }

  /**
   * As fetch: with the access token for the session's own origins, and once more if it was refused.
   * @param {RequestInfo | URL} input
   * @param {RequestInit & {auth?: boolean}} [init]  `auth: false` opts out
   * @returns {Promise<Response>}
   */
  async fetch(input, { auth = true, ...init } = {}) {
    const url = input instanceof Request ? input.url : new URL(input, `${this.baseURL}/`).href;
    const target = input instanceof Request ? input : url;
    if (!auth || !this.home.covers(url)) return globalThis.fetch(target, init);
    this.#watch();
    const isRepeatable = !(init.body instanceof ReadableStream);
    const signal = init.signal ?? (input instanceof Request ? input.signal : null);
    const { header, scheme } = this.dialect.access_token;
    /** @param {Holding} holding */
    const send = (holding) => {
      const headers = new Headers(init.headers ?? (input instanceof Request ? input.headers : undefined));
      headers.set(header, scheme === null ? holding.access_token : `${scheme} ${holding.access_token}`);
      const again = input instanceof Request ? input.clone() : target;
      return globalThis.fetch(again, { ...init, headers });
    };

    const holding = await this.gate.enter(isRepeatable, signal);
    const response = await send(holding);
    const refusal = await this.judge(response);
    if (!refusal) return response;
    const next = await this.gate.refused(holding, false, refusal.over, signal);
    if (!next) return response;
    if (!isRepeatable) {
      const told = "the access token has been renewed, but this body is a stream and is used up: send it again";
      throw new SessionError("not_replayable", told, { response });
    }
    const second = await send(next);
    const refusedAgain = await this.judge(second);
    if (refusedAgain) await this.gate.refused(next, true, refusedAgain.over, signal);
    return second;
  }

  /**
   * Whether an answer is a refusal of the access token.
   * @param {Response} response
   * @returns {Promise<?{over: ?string}>}
   */
  async judge(response) {
    if (response.redirected && !this.home.covers(response.url)) return null;
    const { status, headers } = response;
    const reads = wantsBody(this.dialect, status, headers.get("Content-Type"), headers.get("Content-Length"));
    const bytes = reads ? await readUpTo(LONGEST_BODY_READ, response.clone()) : null;
    const document = bytes ? parseBody(bytes) : undefined;
    const said = verdict(this.dialect, status, document);
    if (said === "accepted") return null;
    return { over: said === "over" ? reasonIn(this.dialect, document) : null };
  }

  /** Let go of the page: no renewal on waking, no word from other tabs. Nobody is signed out by it. */
  close() {
    this.#stopWatching();
    this.#channel.close();
  }

  /** From the first use on, so that making a session changes nothing anywhere. */
  #watch() {
    if (this.#isWatching) return;
    this.#isWatching = true;
    if (globalThis.location && !globalThis.navigator?.locks) {
      this.#lack("no Web Locks (this is no secure context): tabs take turns by marks in their storage");
    }
    if (globalThis.location && !this.#channel.isOpen) {
      this.#lack("no BroadcastChannel: a tab learns of a sign-out elsewhere with its next refresh");
    }
    if (!/^authorization$/i.test(this.dialect.access_token.header)) {
      this.#lack("a token header of its own: browsers send it along where your API redirects to an origin that allows it");
    }
    const look = (/** @type {boolean} */ renews) =>
      this.gate.look(renews).then(
        (stored) => this.#seen(stored),
        // Nobody waits for it, and the next request tells.
        () => {},
      );
    let isAway = false;
    // A frozen tab hears the others, but a transaction that it began would hold all of them up.
    const stopHearing = this.#channel.hear(({ changed }) => void (changed && !isAway && look(false)));
    const stopWaking = watch(look, () => this.gate.refresher.cameOnline(), (isIt) => {
      isAway = isIt;
      if (isIt) this.gate.wasAway = true;
    });
    this.#stopWatching = () => {
      stopHearing();
      stopWaking();
    };
  }

  /** Another tab has signed in while nobody is signed in here. @param {?Record} stored */
  #seen(stored) {
    const isSomebody = stored !== null && stored.ended === null;
    if (isSomebody && !this.user && !this.#hasSeenSomebody) this.#dispatch("signedin", { isElsewhere: true });
    this.#hasSeenSomebody = isSomebody;
  }

  /** The session of the browser's cookie, of which nothing is remembered here. @returns {Promise<?Record>} */
  async #found() {
    const { csrf, tokens } = this.dialect;
    if (!csrf) return null;
    const { status, document } = await this.#asked(csrf, {}, null, this.timeoutSeconds * 1000, "question who is here");
    const refresh_token = find(document, tokens.refresh_token);
    if (status === 401) return null;
    if (status !== 200 || typeof refresh_token !== "string") {
      throw new SessionError("refresh_unavailable", `the server does not say who is signed in (${status})`);
    }
    const session_id = find(document, tokens.session_id) ?? null;
    return { ...this.#empty(), refresh_token, session_id, account: unnamed(session_id) };
  }

  /** @returns {Record} */
  #empty() {
    return {
      server: this.baseURL, version: 0, access_token: null, refresh_token: null, obtained_at: 0, expires_at: null,
      refresh_expires_at: null, session_id: null, account: null, ended: null,
    };
  }

  /** Put a record in the place of whatever stands in the store. @param {Record} record */
  async #replace(record) {
    for (;;) {
      const [document, old] = await this.gate.read(true);
      const next = { ...record, version: (old?.version ?? 0) + 1 };
      if (await this.gate.around.store.swap(document, render(next))) return next;
    }
  }

  /**
   * @template T
   * @param {() => Promise<T>} work
   */
  async #underLease(work) {
    // First of all, so that a storage that does not work has given way to memory, and a foreign one is told.
    await this.gate.read(true);
    return this.gate.around.store.lease(work, this.timeoutSeconds * 1000);
  }

  /**
   * @param {import("./decide/dialect.js").AuthCall} call
   * @param {{[member: string]: unknown}} members
   * @param {?string} token
   * @param {number} timeoutMs
   * @param {string} what
   */
  #asked(call, members, token, timeoutMs, what) {
    return sendCall(this.baseURL, call, members, token, timeoutMs).catch((cause) => {
      throw new SessionError("refresh_unavailable", `no answer to the ${what}: ${cause.message}`, { cause });
    });
  }

  /** @param {string} what */
  #lack(what) {
    this.weaknesses.push(what);
    this.#dispatch("weaker", { message: what });
  }

  /** @param {string} type @param {{[member: string]: unknown}} more */
  #dispatch(type, more) {
    this.dispatchEvent(Object.assign(new Event(type), more));
  }
}

/** @param {Settings} [settings] */
export const createSession = (settings = {}) => new Session(settings);
