// @ts-check
/** The session of one user at one server, for every tab that shares its store. */

import { readTokens } from "./answers.js";
import { absolute, sendCall } from "./calls.js";
import { complete, EVERTOKEN, find, parseBody, reasonIn, verdict, wantsBody } from "./dialect.js";
import { Gate, SessionError } from "./gate.js";
import { Home } from "./origins.js";
import { render, renewed, successor } from "./record.js";
import { indexedDBStore } from "./stores.js";

/** @typedef {import("./gate.js").Holding} Holding */
/** @typedef {import("./record.js").Record} Record */

export class Session extends EventTarget {
  /** @param {{baseURL?: string, store?: import("./gate.js").Store, dialect?: Partial<import("./dialect.js").Dialect>,
   *   origins?: string[], timeoutSeconds?: number}} settings */
  constructor({ baseURL = globalThis.location?.origin, store, dialect = EVERTOKEN, origins = [], timeoutSeconds = 30 }) {
    super();
    this.baseURL = String(baseURL).replace(/\/+$/, "");
    this.dialect = complete(dialect);
    const { login, refresh } = this.dialect;
    const ownCalls = [login, refresh].flatMap((call) => (call ? [absolute(this.baseURL, call.url)] : []));
    this.home = new Home(this.baseURL, origins, ownCalls);
    this.timeoutSeconds = timeoutSeconds;
    this.gate = new Gate({
      server: this.baseURL,
      dialect: this.dialect,
      store: store ?? indexedDBStore(),
      send: (record, timeoutMs) => sendCall(this.baseURL, refresh, {}, record.refresh_token, timeoutMs),
      timeoutSeconds,
      onEnd: (reason) => this.dispatchEvent(Object.assign(new Event("signedout"), { reason })),
      onRenew: () => this.dispatchEvent(new Event("token")),
    });
  }

  /** Whether somebody is signed in, as far as the store knows; asks no server. */
  async restore() {
    const [, stored] = await this.gate.read();
    return stored !== null && stored.ended === null;
  }

  /**
   * Sign in.
   * @param {{username: string, password: string, [member: string]: unknown}} who  other members are sent along
   */
  async login({ username, password, ...more }) {
    const call = this.dialect.login;
    if (!call) throw new SessionError("sign_in_refused", "the dialect has no sign-in");
    const sentAt = Date.now() / 1000;
    const members = { [call.username ?? ""]: username, [call.password ?? ""]: password, ...more };
    const answer = await sendCall(this.baseURL, call, members, null, this.timeoutSeconds * 1000).catch((cause) => {
      throw new SessionError("refresh_unavailable", `no answer to the sign-in: ${cause.message}`, { cause });
    });
    const { status, document } = answer;
    const isGood = status >= 200 && status < 300 && verdict(this.dialect, status, document) === "accepted";
    const said = readTokens(this.dialect, document);
    if (!isGood || "unusable" in said) {
      const reason = find(document, "/code") ?? String(status);
      throw new SessionError("sign_in_refused", `sign-in refused (${reason})`, { reason });
    }
    /** @type {any} */
    const empty = { server: this.baseURL, version: 0, refresh_token: null, session_id: null, refresh_expires_at: null };
    const record = successor({ ...empty, account: username, ended: null }, said.tokens, sentAt);
    await this.#replace(record);
    this.gate.tookOver(renewed(record, true));
  }

  /** End the session, at the server and in every tab. @throws {SessionError} not confirmed; the tokens are kept */
  async logout() {
    const { store } = this.gate.around;
    await store.lease(async () => {
      const [document, stored] = await this.gate.read();
      const call = this.dialect.logout;
      if (call && stored?.refresh_token) {
        const status = await sendCall(this.baseURL, call, {}, stored.refresh_token, 10_000).then(
          (answer) => answer.status,
          () => 0,
        );
        if ((status < 200 || status >= 300) && status !== 401) {
          throw new SessionError("refresh_unavailable", `the server has not confirmed the sign-out (${status})`);
        }
      }
      await store.swap(document, null);
    }, this.timeoutSeconds * 1000);
    this.gate.tookOver({ ended: { reason: "signed_out" } });
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
    const isRepeatable = !(input instanceof Request && input.body) && !(init.body instanceof ReadableStream);
    const signal = init.signal ?? (input instanceof Request ? input.signal : null);
    const { header, scheme } = this.dialect.access_token;
    /** @param {Holding} holding */
    const send = (holding) => {
      const headers = new Headers(init.headers ?? (input instanceof Request ? input.headers : undefined));
      headers.set(header, scheme === null ? holding.access_token : `${scheme} ${holding.access_token}`);
      const again = input instanceof Request && isRepeatable ? input.clone() : target;
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
    const document = reads ? parseBody(await response.clone().arrayBuffer()) : undefined;
    const said = verdict(this.dialect, status, document);
    if (said === "accepted") return null;
    return { over: said === "over" ? reasonIn(this.dialect, document) : null };
  }

  /** @param {Record} record */
  async #replace(record) {
    for (;;) {
      const [document, old] = await this.gate.read();
      record.version = (old?.version ?? 0) + 1;
      if (await this.gate.around.store.swap(document, render(record))) return;
    }
  }
}

/** @param {ConstructorParameters<typeof Session>[0]} [settings] */
export const createSession = (settings = {}) => new Session(settings);
