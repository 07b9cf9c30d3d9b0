// @ts-check
/**
 * The gate that every request of a session goes through: fetch, axios, streams, in every tab that shares a store.
 *
 * One refresh runs for all of them, under a lease that is held around {read, send, write} only, never around an
 * application's request or callback. It belongs to nobody who waits: a caller that aborts takes nothing with it.
 */

import { readRefresh } from "./decide/answers.js";
import { SessionError, signedOut, usedUp } from "./errors.js";
import { isUsable, judgeStored, parse, render, renewed, successor, tombstone } from "./decide/record.js";
import { Refresher } from "./decide/refresher.js";
import { ASLEEP_SECONDS, inTime, monotonic, pause, untilAborted } from "./waits.js";

/** @typedef {import("./decide/refresher.js").Holding} Holding */
/** @typedef {import("./decide/refresher.js").Decision} Decision */
/** @typedef {import("./decide/refresher.js").Outcome} Outcome */
/** @typedef {import("./decide/refresher.js").Moment} Moment */
/** @typedef {import("./decide/record.js").Record} Record */
/** @typedef {import("./decide/record.js").Own} Own */
/** @typedef {import("./decide/speech.js").Speech} Speech */
/**
 * @typedef {object} Store keeps one text, compared before it is replaced
 * @property {() => Promise<?string>} load
 * @property {(expected: ?string, document: ?string) => Promise<boolean>} swap
 * @property {<T>(work: () => Promise<T>, timeoutMs: number) => Promise<T>} lease
 */
/** @typedef {{status: number, retryAfter: ?string, document: any}} Answer */
/**
 * @typedef {object} Around what a gate stands in: the session
 * @property {string} baseURL
 * @property {?Speech} speech known by the time that anything is asked of the gate
 * @property {Store} store
 * @property {ReturnType<typeof import("./keep/veil.js").veil>} [veil] in cookie mode
 * @property {number} timeoutSeconds
 * @property {(name: import("./decide/speech.js").Call, token: ?string, timeoutMs: number) => Promise<Answer>} call
 *   rejects where there is no answer
 * @property {(reason: string) => void} onEnd
 * @property {(isFetched: boolean) => void} onRenew
 */

/** After each try; the last is followed by none. */
const PAUSES_SECONDS = [0.2, 0.8, Infinity];
const ANSWER_WITHIN_SECONDS = 10;

/** @returns {Moment} */
const now = () => ({ wall: Date.now() / 1000, monotonic: monotonic() });

/**
 * Whether what was begun for one user may go on for another; as for a record in the store.
 * @param {Own | undefined} before
 * @param {Own} own
 */
export const isSameUser = (before, own) =>
  !before?.is_signed_in ||
  before.account === own.account ||
  (before.session_id != null && before.session_id === own.session_id);

export class Gate {
  /** The page was away, and has not heard what other tabs told meanwhile. */
  wasAway = false;
  refresher = new Refresher();
  /** Who is signed in on this page. @type {Own} */
  own = {};
  /** @type {?Promise<Outcome>} */
  #flight = null;
  /** @type {?Promise<unknown>} */
  #looking = null;
  /** @type {import("./decide/refresher.js").Failed} */
  #failed = {};

  /** @param {Around} around */
  constructor(around) {
    this.around = around;
  }

  /** The access token to send a request with. @param {boolean} isRepeatable @param {?AbortSignal} [signal] */
  async enter(isRepeatable, signal) {
    if (this.wasAway) {
      this.wasAway = false;
      // A store that cannot be read says nothing new; the request finds out by itself.
      const looked = inTime(this.look(false), this.around.timeoutSeconds).catch(() => null);
      this.#looking = looked.then(() => (this.#looking = null));
    }
    if (this.#looking) await untilAborted(this.#looking, signal);
    return /** @type {Holding} */ (
      await this.#follow((at) => this.refresher.beforeSending(at, isRepeatable), null, isRepeatable, signal)
    );
  }

  /**
   * Send a request with an access token, and once more if that was refused.
   * @template {{answer: unknown, refusal: ?{over: ?string}}} T
   * @param {(holding: Holding) => Promise<T>} send
   * @param {boolean} isRepeatable
   * @param {?AbortSignal} [signal]
   * @param {(first: T) => void} [forget] what is not given to the application
   * @returns {Promise<T>}
   */
  async sent(send, isRepeatable, signal, forget) {
    /** @type {?Holding} */
    let holding = await this.enter(isRepeatable, signal);
    for (let isAgain = false; ; isAgain = true) {
      const tried = await send(holding);
      holding = tried.refusal && (await this.refused(holding, isAgain, tried.refusal.over, signal));
      if (!holding || isAgain) return tried;
      if (!isRepeatable) throw usedUp(tried.answer);
      forget?.(tried);
    }
  }

  /**
   * A request that was sent with `holding` was refused because of it; null: the refusal is the application's.
   * @param {Holding} holding
   * @param {boolean} wasSentAgain
   * @param {?string} over
   * @param {?AbortSignal} [signal]
   * @returns {Promise<?Holding>}
   */
  refused({ generation, owner }, wasSentAgain, over, signal) {
    const question = (/** @type {Moment} */ at) => this.refresher.afterRefusal(at, generation, wasSentAgain, over);
    return this.#follow(question, generation, true, signal, false, owner);
  }

  /** A new access token, now. */
  async renew() {
    await this.#follow((at) => this.refresher.onDemand(at), this.refresher.holding?.generation ?? 0, true, null, true);
  }

  /** A sign-in or sign-out is in the store: whatever flies is overtaken by it. @param {Outcome} outcome */
  tookOver(outcome) {
    const wasSignedIn = this.own.is_signed_in;
    this.#flight = null;
    this.#apply(outcome);
    if (outcome.ended && wasSignedIn) this.around.onEnd(outcome.ended.reason);
  }

  /** The page goes on with whoever is signed in by this record. @param {Record} record */
  adopt(record) {
    if (isUsable(record, now().wall)) return this.tookOver(renewed(record));
    const { session_id, account } = record;
    this.#flight = null;
    this.refresher.forget();
    this.own = { session_id, account, is_signed_in: true };
  }

  /**
   * Look into the store, where another tab may have written; and renew a token that ends soon, if that is asked.
   * @param {boolean} renews
   * @returns {Promise<?Record>} what stands there
   * @throws {SessionError} what stands there is damaged, and says nothing of an end
   */
  async look(renews) {
    const [, stored] = await this.read();
    if (this.own.is_signed_in && !this.#flight) {
      const judged = judgeStored(stored, this.own, now().wall);
      if (judged) this.tookOver(judged);
      else if (renews) this.#decide((at) => this.refresher.beforeSending(at));
    }
    return stored;
  }

  /**
   * The document of the store, and what it says.
   * @param {boolean} [forgives] a document that is damaged counts as none
   * @returns {Promise<[?string, ?Record]>}
   */
  async read(forgives) {
    const { store, veil, baseURL } = this.around;
    const document = await store.load();
    const { record, refused } = document === null ? {} : parse(document);
    const isOurs = record ? record.server === baseURL : !refused || (forgives && !/^(foreign|later)/.test(refused));
    if (!isOurs) throw new SessionError("store_refused", "another program's data is in the store: give another name");
    if (record && !record.ended && veil) return [document, await veil.lift(record)];
    veil?.keep(null);
    return [document, record ?? null];
  }

  /**
   * Put a record, or nothing, into the place of a document.
   * @param {?string} document
   * @param {?Record} record
   * @returns {Promise<boolean>} false: something else stands there by now
   */
  async write(document, record) {
    const { store, veil } = this.around;
    const isDone = await store.swap(document, record && render(veil ? { ...record, access_token: null } : record));
    if (isDone) veil?.keep(record);
    return isDone;
  }

  /**
   * @param {(at: Moment) => Decision} question
   * @param {?number} refusedGeneration
   * @param {boolean} isRepeatable
   * @param {?AbortSignal} [signal]
   * @param {boolean} [wantsNew]
   * @param {Own} [owner] whose request it is
   */
  async #follow(question, refusedGeneration, isRepeatable, signal, wantsNew, owner = this.own) {
    signal?.throwIfAborted();
    let decision = this.#decide(question, wantsNew);
    while (decision.waits) {
      const outcome = await untilAborted(/** @type {Promise<Outcome>} */ (this.#flight), signal);
      decision = this.#decide((at) => this.refresher.afterWaiting(at, outcome, refusedGeneration, isRepeatable));
    }
    const { holding = null, rest, reason } = decision;
    if (reason) throw signedOut(reason);
    // Somebody else has signed in on this page since: not with a request of the user before.
    if (holding && !isSameUser(owner, this.own)) throw signedOut("signed_in_anew");
    if (rest === undefined) return holding;
    const { why, error } = this.#failed;
    if (error instanceof SessionError) throw error;
    // Sums of clocks are not exact.
    const retryAfterSeconds = Math.max(1, Math.ceil(rest - 1e-6));
    throw new SessionError("refresh_unavailable", `no valid access token, and no new one: ${why}`, {
      retryAfterSeconds, cause: error,
    });
  }

  /** @param {(at: Moment) => Decision} question @param {boolean} [wantsNew] */
  #decide(question, wantsNew) {
    const decision = question(now());
    if (decision.starts) this.#start(decision.over, wantsNew);
    return decision;
  }

  /** @param {string | undefined} over @param {boolean | undefined} wants_new */
  #start(over, wants_new) {
    const own = { ...this.own, wants_new };
    this.refresher.isFlying = true;
    const flight = inTime(this.#refresh(own, over), this.around.timeoutSeconds)
      // A fault of ours signs nobody out, and whoever waits is told.
      .catch((error) => /** @type {Outcome} */ ({ failed: { why: String(error?.message ?? error), error } }))
      .then((outcome) => {
        const { ended } = outcome;
        if (this.#flight !== flight) return ended ? { failed: { why: "a sign-in or sign-out came first" } } : outcome;
        this.#flight = null;
        this.#apply(outcome);
        // After those who wait have been told.
        if (ended && (ended.is_news || own.is_signed_in)) setTimeout(() => this.around.onEnd(ended.reason));
        return outcome;
      });
    this.#flight = flight;
  }

  /** @param {Outcome} outcome */
  #apply(outcome) {
    const { refresher } = this;
    const { renewed, failed } = outcome;
    refresher.flightEnded(now(), outcome, Math.random());
    if (failed) {
      this.#failed = failed;
    } else if (renewed && refresher.holding) {
      const { session_id, account, access_token } = renewed;
      this.own = refresher.holding.owner = { session_id, account, access_token, is_signed_in: true };
      this.around.onRenew(renewed.is_fetched === true);
    } else {
      this.own = { ...this.own, is_signed_in: false };
    }
  }

  /**
   * @param {Own} own
   * @param {string | undefined} over a resource has said so: there is nothing to ask
   * @returns {Promise<Outcome>}
   */
  async #refresh(own, over) {
    const { store, timeoutSeconds } = this.around;
    const giveUpAt = monotonic() + timeoutSeconds;
    const judged = judgeStored((await this.read())[1], own, now().wall);
    return judged ?? store.lease(() => this.#refreshUnderLease(own, over, giveUpAt), timeoutSeconds * 1000);
  }

  /** @param {Own} own @param {string | undefined} over @param {number} giveUpAt @returns {Promise<Outcome>} */
  async #refreshUnderLease(own, over, giveUpAt) {
    const { timeoutSeconds } = this.around;
    /** @type {import("./decide/refresher.js").Failed} */
    let failed = { why: "no time was left for a refresh" };
    for (const pauseSeconds of PAUSES_SECONDS) {
      const readAt = now();
      const [document, stored] = await this.read();
      const judged = judgeStored(stored, own, readAt.wall);
      if (judged || !stored) return judged ?? {};
      const sentAt = now();
      // The tab may have been frozen since the refresh token was read: it is read again.
      if (sentAt.wall - readAt.wall > ASLEEP_SECONDS) {
        // Not the time of those who wait.
        giveUpAt = sentAt.monotonic + timeoutSeconds;
        continue;
      }
      const left = Math.min(ANSWER_WITHIN_SECONDS, giveUpAt - sentAt.monotonic);
      if (left <= 0) break;
      const { tokens, unusable, over: reason = "" } = over ? { over } : await this.#ask(stored, left);
      if (unusable) {
        const at = monotonic();
        if (at - sentAt.monotonic > ANSWER_WITHIN_SECONDS + ASLEEP_SECONDS) giveUpAt = at + timeoutSeconds;
        failed = unusable;
        const seconds = Math.max(pauseSeconds, unusable.retry_after_seconds ?? 0);
        // Where a refresh token is good for one use, sending it again at once would look like theft.
        if (unusable.is_final || !this.around.speech?.isRepeatable || at + seconds >= giveUpAt) break;
        await pause(seconds);
        continue;
      }
      const next = tokens ? successor(stored, tokens, sentAt.wall) : tombstone(stored, reason);
      // Written before anybody is told; where somebody has written meanwhile, it is read again.
      if (await this.write(document, next)) return tokens ? renewed(next, true) : { ended: { reason, is_news: true } };
    }
    return { failed };
  }

  /** @param {Record} stored @param {number} seconds @returns {Promise<import("./decide/answers.js").Said>} */
  async #ask({ refresh_token, session_id }, seconds) {
    const { around } = this;
    try {
      const { status, retryAfter, document } = await around.call("refresh", refresh_token, seconds * 1000);
      return readRefresh(/** @type {Speech} */ (around.speech), status, retryAfter, document, session_id);
    } catch (/** @type {any} */ error) {
      const why = `no answer to the refresh: ${error.message}`;
      return { unusable: { why, retry_after_seconds: null, is_stale: false, is_final: false } };
    }
  }
}
