// @ts-check
/**
 * The gate that every request of a session goes through: fetch, axios, streams, in every tab that shares a store.
 *
 * One refresh runs for all of them, under a lease that is held around {read, send, write} only, never around an
 * application's request or callback. It belongs to nobody who waits: a caller that aborts takes nothing with it.
 */

import { readRefresh } from "./decide/answers.js";
import { SessionError } from "./errors.js";
import { pause } from "./keep/leases.js";
import { isUsable, judgeStored, parse, render, renewed, successor, tombstone } from "./decide/record.js";
import { Refresher } from "./decide/refresher.js";

/** @typedef {import("./decide/refresher.js").Holding} Holding */
/** @typedef {import("./decide/refresher.js").Decision} Decision */
/** @typedef {import("./decide/refresher.js").Outcome} Outcome */
/** @typedef {import("./decide/refresher.js").Moment} Moment */
/** @typedef {import("./decide/record.js").Record} Record */
/** @typedef {import("./decide/dialect.js").Dialect} Dialect */
/**
 * @typedef {object} Store keeps one text, compared before it is replaced
 * @property {() => Promise<?string>} load
 * @property {(expected: ?string, document: ?string) => Promise<boolean>} swap
 * @property {<T>(work: () => Promise<T>, timeoutMs: number) => Promise<T>} lease
 */
/** @typedef {{status: number, retryAfter: ?string, document: unknown}} Answer */
/** @typedef {(record: Record, timeoutMs: number) => Promise<Answer>} SendRefresh  rejects where there is no answer */

const ATTEMPTS = 3;
const PAUSES_SECONDS = [0.2, 0.8];
const ANSWER_WITHIN_SECONDS = 10;
/** A refresh token that was read longer ago than this is read again before it is sent: the tab may have been frozen. */
const REREAD_AFTER_SECONDS = 5;

/** @returns {Moment} */
const now = () => ({ wall: Date.now() / 1000, monotonic: performance.now() / 1000 });

/**
 * Whether what was begun for one user may go on for another; as for a record in the store.
 * @param {import("./decide/record.js").Own | undefined} before
 * @param {import("./decide/record.js").Own} own
 */
export const isSameUser = (before, own) =>
  !before?.is_signed_in ||
  before.account === own.account ||
  (before.session_id != null && before.session_id === own.session_id);

export class Gate {
  /** The page was away, and has not heard what other tabs told meanwhile. */
  wasAway = false;
  /** @type {?Promise<unknown>} */
  #looking = null;

  /** @param {{server: string, dialect: Dialect, store: Store, send: SendRefresh, timeoutSeconds: number,
   *   onEnd: (reason: string) => void, onRenew: (isFetched: boolean) => void}} around */
  constructor(around) {
    this.around = around;
    this.refresher = new Refresher();
    /** @type {import("./decide/record.js").Own} */
    this.own = {};
    /** @type {WeakMap<Holding, import("./decide/record.js").Own>} whose an access token was */
    this.owners = new WeakMap();
    /** @type {?Promise<Outcome>} */
    this.flight = null;
    /** @type {Outcome} */
    this.lastFailed = { failed: { why: "no refresh was tried" } };
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
   * A request that was sent with `holding` was refused because of it; null: the refusal is the application's.
   * @param {Holding} holding
   * @param {boolean} wasSentAgain
   * @param {?string} over
   * @param {?AbortSignal} [signal]
   * @returns {Promise<?Holding>}
   */
  refused(holding, wasSentAgain, over, signal) {
    const { generation } = holding;
    const question = (/** @type {Moment} */ at) => this.refresher.afterRefusal(at, generation, wasSentAgain, over);
    return this.#follow(question, generation, true, signal, false, this.owners.get(holding));
  }

  /** A new access token, now. */
  async renew() {
    await this.#follow((at) => this.refresher.onDemand(at), this.refresher.holding?.generation ?? 0, true, null, true);
  }

  /** A sign-in or sign-out is in the store: whatever flies is overtaken by it. @param {Outcome} outcome */
  tookOver(outcome) {
    const wasSignedIn = this.own.is_signed_in;
    this.flight = null;
    this.#apply(outcome);
    if ("ended" in outcome && wasSignedIn) this.around.onEnd(outcome.ended.reason);
  }

  /** The page goes on with whoever is signed in by this record. @param {Record} record */
  adopt(record) {
    if (isUsable(record, now().wall)) return this.tookOver(renewed(record, false));
    const { session_id, account } = record;
    this.flight = null;
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
    if (this.own.is_signed_in && !this.flight) {
      const judged = judgeStored(stored, this.own, now().wall);
      if (judged) this.tookOver(judged);
      else if (renews) this.#decide((at) => this.refresher.beforeSending(at), false);
    }
    return stored;
  }

  /**
   * The document of the store, and what it says.
   * @param {boolean} [forgives] a document that is damaged counts as none
   * @returns {Promise<[?string, ?Record]>}
   */
  async read(forgives = false) {
    const document = await this.around.store.load();
    if (document === null) return [null, null];
    const found = parse(document);
    if ("record" in found && found.record.server === this.around.server) return [document, found.record];
    if (forgives && "refused" in found && ["not_json", "no_token", "member"].includes(found.refused)) {
      return [document, null];
    }
    throw new SessionError("store_refused", "the store holds no session of this server: remove it, or name another");
  }

  /**
   * @param {(at: Moment) => Decision} question
   * @param {?number} refusedGeneration
   * @param {boolean} isRepeatable
   * @param {?AbortSignal} [signal]
   * @param {boolean} [wantsNew]
   * @param {import("./decide/record.js").Own} [owner] whose request it is
   */
  async #follow(question, refusedGeneration, isRepeatable, signal, wantsNew = false, owner = this.own) {
    signal?.throwIfAborted();
    let decision = this.#decide(question, wantsNew);
    while (["wait", "start_and_wait", "end_and_wait"].includes(decision.step)) {
      signal?.throwIfAborted();
      const flight = /** @type {Promise<Outcome>} */ (this.flight);
      const outcome = await untilAborted(flight, signal);
      decision = this.#decide((at) => this.refresher.afterWaiting(at, outcome, refusedGeneration, isRepeatable), false);
    }
    // Somebody else has signed in on this page since: not with a request of the user before.
    if (decision.holding && !isSameUser(owner, this.own)) decision = { step: "signed_out", reason: "signed_in_anew" };
    return this.#conclude(decision);
  }

  /** @param {(at: Moment) => Decision} question @param {boolean} wantsNew */
  #decide(question, wantsNew) {
    const decision = question(now());
    if (["start_and_wait", "send_and_renew", "end_and_wait"].includes(decision.step)) {
      this.#start(decision.step === "end_and_wait" ? /** @type {string} */ (decision.reason) : null, wantsNew);
    }
    return decision;
  }

  /** @param {?string} over @param {boolean} wantsNew */
  #start(over, wantsNew) {
    const own = { ...this.own, wants_new: wantsNew };
    this.refresher.flightStarted();
    const flight = inTime(over === null ? this.#refresh(own) : this.#end(own, over), this.around.timeoutSeconds)
      // A fault of ours signs nobody out, and whoever waits is told.
      .catch((error) => /** @type {Outcome} */ ({ failed: { why: String(error?.message ?? error), error } }))
      .then((outcome) => {
        if (this.flight !== flight) {
          return "ended" in outcome ? { failed: { why: "a sign-in or sign-out has overtaken the refresh" } } : outcome;
        }
        this.flight = null;
        const isNews = "ended" in outcome && (outcome.ended.is_news || own.is_signed_in);
        this.#apply(outcome);
        // After those who wait have been told.
        if (isNews) setTimeout(() => this.around.onEnd(outcome.ended.reason));
        return outcome;
      });
    this.flight = flight;
  }

  /** @param {Outcome} outcome */
  #apply(outcome) {
    this.refresher.flightEnded(now(), outcome, Math.random());
    if ("failed" in outcome) {
      this.lastFailed = outcome;
    } else if ("renewed" in outcome) {
      const { session_id, account, access_token } = outcome.renewed;
      this.own = { session_id, account, access_token, is_signed_in: true };
      this.owners.set(/** @type {Holding} */ (this.refresher.holding), this.own);
      this.around.onRenew(outcome.renewed.is_fetched === true);
    } else {
      this.own = { ...this.own, is_signed_in: false };
    }
  }

  /** @param {Decision} decision */
  #conclude(decision) {
    if (decision.step === "signed_out") {
      const reason = /** @type {string} */ (decision.reason);
      throw new SessionError("signed_out", `signed out (${reason}): sign in again`, { reason });
    }
    if (decision.step === "unavailable") {
      const { why, error } = /** @type {any} */ (this.lastFailed).failed;
      if (error instanceof SessionError) throw error;
      const retryAfterSeconds = Math.max(1, Math.ceil(decision.retry_after_seconds ?? 1));
      throw new SessionError("refresh_unavailable", `no valid access token now, and no new one: ${why}`, {
        retryAfterSeconds, cause: error,
      });
    }
    return decision.holding ?? null;
  }

  /** @param {import("./decide/record.js").Own} own @returns {Promise<Outcome>} */
  async #refresh(own) {
    const { store, timeoutSeconds } = this.around;
    const giveUpAt = now().monotonic + timeoutSeconds;
    const judged = judgeStored((await this.read())[1], own, now().wall);
    return judged ?? store.lease(() => this.#refreshUnderLease(own, giveUpAt), timeoutSeconds * 1000);
  }

  /** @param {import("./decide/record.js").Own} own @param {number} giveUpAt @returns {Promise<Outcome>} */
  async #refreshUnderLease(own, giveUpAt) {
    const { dialect, store, send, timeoutSeconds } = this.around;
    let why = "there was no time left for a refresh";
    let wait = null;
    for (let attempt = 0; attempt < ATTEMPTS && now().monotonic < giveUpAt; attempt += 1) {
      const readAt = now();
      const [document, stored] = await this.read();
      const judged = judgeStored(stored, own, readAt.wall);
      if (judged || !stored) return judged ?? { ended: { reason: "signed_out" } };
      const sentAt = now();
      if (sentAt.wall - readAt.wall > REREAD_AFTER_SECONDS) {
        // Not the time of those who wait: the machine has slept, or the tab was frozen.
        giveUpAt = sentAt.monotonic + timeoutSeconds;
        continue;
      }
      /** @type {import("./decide/answers.js").Said} */
      let said;
      try {
        const left = Math.min(ANSWER_WITHIN_SECONDS, giveUpAt - sentAt.monotonic);
        const { status, retryAfter, document: body } = await send(stored, left * 1000);
        said = readRefresh(dialect, status, retryAfter, body, stored.session_id);
      } catch (error) {
        const told = `no answer to the refresh: ${/** @type {Error} */ (error).message}`;
        said = { unusable: { why: told, retry_after_seconds: null, is_stale: false, is_final: false } };
      }
      if ("unusable" in said) {
        why = said.unusable.why;
        if (now().monotonic - sentAt.monotonic > ANSWER_WITHIN_SECONDS + REREAD_AFTER_SECONDS) {
          giveUpAt = now().monotonic + timeoutSeconds;
        }
        wait = said.unusable.retry_after_seconds;
        const seconds = wait ?? PAUSES_SECONDS[attempt];
        // Where a refresh token is good for one use, sending it again at once would look like theft.
        const isLast = said.unusable.is_final || !dialect.refresh_is_repeatable || attempt + 1 === ATTEMPTS;
        if (isLast || now().monotonic + seconds >= giveUpAt) break;
        await pause(seconds);
        continue;
      }
      const next = "over" in said ? tombstone(stored, said.over) : successor(stored, said.tokens, sentAt.wall);
      // Written before anybody is told; where somebody has written meanwhile, it is read again.
      if (!(await store.swap(document, render(next)))) continue;
      return "over" in said ? { ended: { reason: said.over, is_news: true } } : renewed(next, true);
    }
    return { failed: { why, retry_after_seconds: wait } };
  }

  /** A resource has said that the session is over. @param {import("./decide/record.js").Own} own @param {string} reason */
  async #end(own, reason) {
    const { store, timeoutSeconds } = this.around;
    return store.lease(async () => {
      const [document, stored] = await this.read();
      const judged = judgeStored(stored, own, now().wall);
      if (judged || !stored) return judged ?? { ended: { reason, is_news: true } };
      await store.swap(document, render(tombstone(stored, reason)));
      return { ended: { reason, is_news: true } };
    }, timeoutSeconds * 1000);
  }
}

/**
 * Wait for work that has bounds of its own, and a little longer; but a store may wait for ever, for the transaction of
 * a tab that was frozen. Time in which this page stood still itself does not count, once.
 * @template T
 * @param {Promise<T>} work
 * @param {number} seconds
 * @returns {Promise<T>}
 */
function inTime(work, seconds) {
  return new Promise((resolve, reject) => {
    const longest = seconds + REREAD_AFTER_SECONDS;
    /** @type {ReturnType<typeof setTimeout>} */
    let timer;
    const wait = (/** @type {boolean} */ mayBeLate) => {
      const from = now().monotonic;
      timer = setTimeout(() => {
        if (mayBeLate && now().monotonic - from > longest + REREAD_AFTER_SECONDS) wait(false);
        else reject(new Error(`the store has not answered in ${longest} seconds`));
      }, longest * 1000);
    };
    wait(true);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

/**
 * Wait for a flight, or until the caller's own signal gives up; the flight goes on.
 * @template T
 * @param {Promise<T>} flight
 * @param {?AbortSignal} [signal]
 * @returns {Promise<T>}
 */
function untilAborted(flight, signal) {
  if (!signal) return flight;
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    flight.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}
