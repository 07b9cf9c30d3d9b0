// @ts-check
/**
 * The gate that every request of a session goes through: fetch, axios, streams, in every tab that shares a store.
 *
 * One refresh (refresh.js) runs for all of them, under a lease that is never held around an application's request or
 * callback. It belongs to nobody who waits: a caller that aborts takes nothing with it.
 */

import { SessionError, signedOut } from "./errors.js";
import { isOfOne, isUsable, parse, renewed } from "./decide/record.js";
import { Refresher } from "./decide/refresher.js";
import { fallbacks, refreshing } from "./parts.js";
import { inTime, now, untilAborted } from "./waits.js";

/** @typedef {import("./decide/refresher.js").Holding} Holding */
/** @typedef {import("./decide/refresher.js").Decision} Decision */
/** @typedef {import("./decide/refresher.js").Outcome} Outcome */
/** @typedef {import("./decide/refresher.js").Moment} Moment */
/** @typedef {import("./decide/record.js").Record} Record */
/** @typedef {import("./decide/record.js").Own} Own */
/**
 * @typedef {object} Store keeps one text, compared before it is replaced
 * @property {() => Promise<?string>} load
 * @property {(expected: ?string, document: ?string) => Promise<boolean>} swap
 * @property {<T>(work: () => Promise<T>, timeoutMs: number) => Promise<T>} lease
 */
/** @typedef {{status: number, retryAfter: ?string, document: any}} Answer */
/** @typedef {import("./session.js").Session} Session */

/**
 * Whether what was begun for one user may go on for another.
 * @param {Own | undefined} before
 * @param {Own} own
 */
export const isSameUser = (before, own) => !before?.is_signed_in || isOfOne(before, own);

export class Gate {
  /**
   * What requests wait for first where the page was away, and has not heard what other tabs told meanwhile.
   * @type {(() => Promise<unknown>) | null}
   */
  catchUp = null;
  refresher = new Refresher();
  /** Who is signed in on this page. @type {Own} */
  own = {};
  /** @type {?Promise<Outcome>} */
  #flight = null;
  /** @type {import("./decide/refresher.js").Failed} */
  #failed = {};
  /** Something has been kept in the store. */
  #hasKept = false;

  /** @param {Session} around */
  constructor(around) {
    this.around = around;
  }

  /** The access token to send a request with. @param {boolean} isRepeatable @param {?AbortSignal} [signal] */
  async enter(isRepeatable, signal) {
    const caughtUp = this.catchUp?.();
    if (caughtUp) await untilAborted(caughtUp, signal);
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
      if (!isRepeatable) {
        const response = tried.answer;
        throw new SessionError("not_replayable", "the token is new, but the body was a stream: send it again", { response });
      }
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
    return this.#follow(question, generation, true, signal, owner);
  }

  /** A new access token, now. */
  async renew() {
    const { refresher } = this;
    const question = (/** @type {Moment} */ at) => ({ ...refresher.onDemand(at), wantsNew: true });
    await this.#follow(question, refresher.holding?.generation ?? 0, true);
  }

  /**
   * What a refresh has come to; or a sign-in or sign-out that is in the store, and overtakes whatever flies.
   * @param {Outcome} outcome
   * @param {Own} own who was signed in
   * @param {(tell: () => void) => void} soon when it is told that this is the end
   */
  tookOver(outcome, own = this.own, soon = (tell) => tell()) {
    const { renewed, failed, ended } = outcome;
    this.#flight = null;
    this.refresher.flightEnded(now(), outcome, Math.random());
    const { holding } = this.refresher;
    if (failed) {
      this.#failed = failed;
    } else if (renewed && holding) {
      this.own = holding.owner = { ...renewed, is_signed_in: true };
      this.around.tell("token", {}, renewed.is_fetched);
    } else {
      this.own = { ...this.own, is_signed_in: false };
    }
    if (ended && (ended.is_news || own.is_signed_in)) {
      soon(() => this.around.tell("signedout", { reason: ended.reason }, true));
    }
  }

  /** The page goes on with whoever is signed in by this record. @param {Record} record */
  adopt(record) {
    const outcome = renewed(record);
    if (isUsable(record, now().wall)) return this.tookOver(outcome);
    this.#flight = null;
    this.refresher.forget();
    this.own = { ...outcome.renewed, is_signed_in: true };
  }

  /**
   * The document of the store, and what it says.
   * @param {boolean} [forgives] a document that is damaged counts as none
   * @returns {Promise<[?string, ?Record]>}
   */
  async read(forgives) {
    const { veil, baseURL } = this.around;
    const document = await this.stored("load");
    const record = document === null ? null : parse(document);
    if (document !== null && record?.server !== baseURL) (await fallbacks()).refuse(document, forgives);
    return [document, veil ? await veil.lift(record) : record];
  }

  /**
   * Ask the store, which gives way to memory where it never worked: storage is blocked, or full. Once something has been
   * kept in it, a fault is a passing one: whoever went on in memory then would rotate a token that other tabs hold.
   * @param {"load" | "swap"} name
   * @param {any[]} given
   * @returns {Promise<any>}
   */
  async stored(name, ...given) {
    const { around } = this;
    const ask = async () => /** @type {any} */ (around.store)[name](...given);
    const value = await ask().catch(async (cause) => {
      if (this.#hasKept) throw cause;
      (await fallbacks()).shelter(around, cause);
      return ask();
    });
    this.#hasKept ||= !!value;
    return value;
  }

  /**
   * @param {(at: Moment) => Decision} question
   * @param {?number} refusedGeneration
   * @param {boolean} isRepeatable
   * @param {?AbortSignal} [signal]
   * @param {Own} [owner] whose request it is
   */
  async #follow(question, refusedGeneration, isRepeatable, signal, owner = this.own) {
    signal?.throwIfAborted();
    let decision = this.#decide(question);
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
    throw new SessionError("refresh_unavailable", `no new access token: ${why}`, {
      retryAfterSeconds, cause: error,
    });
  }

  /** @param {(at: Moment) => Decision} question */
  #decide(question) {
    const decision = question(now());
    if (decision.starts) this.#start(decision);
    return decision;
  }

  /** @param {Decision} decision */
  #start({ over, wantsNew }) {
    const own = { ...this.own, wants_new: wantsNew };
    this.refresher.isFlying = true;
    const { around } = this;
    // Those who wait for it wait for its code, too, where that is not there yet.
    const giveUpAt = now().monotonic + around.timeoutSeconds;
    const flight = inTime(refreshing().then(({ refresh }) => refresh(around, own, over, giveUpAt)), around.timeoutSeconds)
      // A fault of ours signs nobody out, and whoever waits is told.
      .catch((error) => /** @type {Outcome} */ ({ failed: { why: error?.message, error } }))
      .then((outcome) => {
        // A sign-in or sign-out came first.
        if (this.#flight !== flight) return outcome.ended ? { failed: {} } : outcome;
        // An end is told after those who wait.
        this.tookOver(outcome, own, setTimeout);
        return outcome;
      });
    this.#flight = flight;
  }
}
