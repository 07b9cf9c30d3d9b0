// @ts-check
/**
 * The refresher: what to do before a request, after a refusal, and when a refresh has ended.
 *
 * Pure: it is told the time and what happened, and says what to do next. It never waits, sends or locks. The cases in
 * conformance/refresher drive it and the Python client's step by step. Times are seconds.
 *
 * @typedef {{wall: number, monotonic: number}} Moment  wall clock since the epoch, and one that is never set back
 * @typedef {{generation: number, access_token: string, renew: ?Moment, renewForGood: ?Moment,
 *   expires: ?Moment}} Holding
 * @typedef {{access_token: string, expires_at: ?number, lifetime_seconds: ?number, is_renewable?: boolean,
 *   is_fetched?: boolean, session_id?: ?string, account?: ?string}} Renewed
 * @typedef {{renewed: Renewed} | {failed: {retry_after_seconds?: ?number, why?: string, error?: unknown}}
 *   | {ended: {reason: string, is_news?: boolean}}} Outcome
 * @typedef {"send" | "send_and_renew" | "wait" | "start_and_wait" | "end_and_wait" | "pass" | "signed_out"
 *   | "unavailable"} Step
 * @typedef {{step: Step, holding?: Holding, reason?: string, retry_after_seconds?: number}} Decision
 */

/** How long before its end a token in use is renewed, at most; and at most this part of its lifetime. */
const MARGIN_SECONDS = 60;
const MARGIN_SHARE = 0.2;
/** This part of the margin is drawn by lot, so that a thousand pages that were opened together do not come together. */
const MARGIN_JITTER = 0.25;
const FIRST_REST_SECONDS = 1;
const LONGEST_REST_SECONDS = 30;
/** A Retry-After beyond this is taken for a mistake. */
const LONGEST_RETRY_AFTER_SECONDS = 3600;
/** How long a refusal of a token that has only just been renewed causes no other refresh. */
const UNHELPFUL_SECONDS = 30;

/** @type {(moment: Moment, seconds: number) => Moment} */
const later = ({ wall, monotonic }, seconds) => ({ wall: wall + seconds, monotonic: monotonic + seconds });

/**
 * Whether a moment has come, by the clock that is further on (RFC 7519 §4.1.4).
 * @type {(at: ?Moment, now: Moment) => boolean}
 */
const hasCome = (at, now) => at !== null && (now.wall >= at.wall || now.monotonic >= at.monotonic);

/**
 * A token just received or read.
 * @param {number} generation
 * @param {Renewed} renewed
 * @param {Moment} now
 * @param {number} jitter drawn from 0 to 1
 * @returns {Holding}
 */
export function taken(generation, renewed, now, jitter) {
  const { access_token, expires_at, lifetime_seconds, is_renewable = true } = renewed;
  // A wall clock that was set back since would let the token live longer than it ever did.
  const left = expires_at == null ? null : Math.min(expires_at - now.wall, lifetime_seconds ?? Infinity);
  const margin = is_renewable ? Math.min(MARGIN_SECONDS, (lifetime_seconds ?? left ?? 0) * MARGIN_SHARE) : 0;
  const beforeEnd = (/** @type {number} */ seconds) => left === null ? null : later(later(now, left), -seconds);
  return {
    generation,
    access_token,
    renew: beforeEnd(margin * (1 - MARGIN_JITTER * jitter)),
    renewForGood: beforeEnd(2 * margin),
    expires: beforeEnd(0),
  };
}

/** The state of one session in one page. */
export class Refresher {
  /** @type {?Holding} the access token in hand */
  holding = null;
  /** @type {?string} why nobody is signed in, if that is known */
  ended = null;
  isFlying = false;
  #generation = 0;
  #failures = 0;
  #restingUntil = -Infinity;
  #isToldToRest = false;
  #refused = 0;
  #unhelpful = { generation: 0, until: 0 };

  /**
   * A request is about to be sent. Whoever is signed out looks into the store first: somebody may have signed in there.
   * @param {Moment} now
   * @param {boolean} isRepeatable whether it could be sent once more; if not, a token that ends soon is renewed first
   * @returns {Decision}
   */
  beforeSending(now, isRepeatable = true) {
    const holding = this.holding;
    if (!holding || hasCome(holding.expires, now)) return this.#refreshFirst(now);
    // What is being renewed because it was refused would only be refused again.
    if (this.isFlying && this.#refused === holding.generation) return { step: "wait" };
    const endsSoon = hasCome(isRepeatable ? holding.renew : holding.renewForGood, now);
    if (!endsSoon || this.#rest(now) > 0 || (this.isFlying && isRepeatable)) return { step: "send", holding };
    if (this.isFlying) return { step: "wait" };
    return isRepeatable ? { step: "send_and_renew", holding } : { step: "start_and_wait" };
  }

  /**
   * A request was refused because of its access token.
   * @param {Moment} now
   * @param {number} generation the one that it was sent with
   * @param {boolean} wasSentAgain whether that was its second time; there is no third
   * @param {?string} over why the session is over, where the answer says that it is
   * @returns {Decision}
   */
  afterRefusal(now, generation, wasSentAgain = false, over = null) {
    if (!this.holding && this.ended !== null) return { step: "signed_out", reason: this.ended };
    const isCurrent = this.holding?.generation === generation;
    if (over !== null && isCurrent) {
      this.#refused = generation;
      return this.isFlying ? { step: "wait" } : { step: "end_and_wait", reason: over };
    }
    if (wasSentAgain) {
      // Renewing it did not help, so it is not the token's age: an audience, a role, a broken guard.
      if (isCurrent) this.#unhelpful = { generation, until: now.monotonic + UNHELPFUL_SECONDS };
      return { step: "pass" };
    }
    if (!isCurrent) return this.beforeSending(now, false);
    if (this.#unhelpful.generation === generation && now.monotonic < this.#unhelpful.until) return { step: "pass" };
    this.#refused = generation;
    return this.#refreshFirst(now);
  }

  /**
   * The refresh that a request has waited for has ended.
   * @param {Moment} now
   * @param {Outcome} outcome
   * @param {?number} generation the one that was refused, if the request had been sent before
   * @param {boolean} isRepeatable whether its body could be sent twice
   * @returns {Decision}
   */
  afterWaiting(now, outcome, generation = null, isRepeatable = true) {
    const holding = this.holding;
    if (!holding && this.ended !== null) return { step: "signed_out", reason: this.ended };
    // Somebody has signed in again meanwhile, perhaps somebody else: not with a request of the old session.
    if ("ended" in outcome) return { step: "signed_out", reason: outcome.ended.reason };
    if ("failed" in outcome) {
      return holding && !hasCome(holding.expires, now) && holding.generation !== generation
        ? { step: "send", holding }
        : { step: "unavailable", retry_after_seconds: this.#rest(now) };
    }
    // Even where answers take longer than a token lives, one refresh is made for a request, not a row.
    if (outcome.renewed.is_fetched && holding) return { step: "send", holding };
    return this.beforeSending(now, isRepeatable && generation === null);
  }

  /** The application wants a new access token now, whatever becomes of the old one. @param {Moment} now */
  onDemand(now) {
    return this.#refreshFirst(now);
  }

  flightStarted() {
    this.isFlying = true;
  }

  /** Somebody is signed in whose access token is not in hand. */
  forget() {
    this.isFlying = false;
    this.holding = this.ended = null;
  }

  /**
   * A refresh has ended, or a sign-in or sign-out took its place.
   * @param {Moment} now
   * @param {Outcome} outcome
   * @param {number} jitter drawn from 0 to 1
   */
  flightEnded(now, outcome, jitter = 0) {
    this.isFlying = false;
    if ("failed" in outcome) {
      this.#failures += 1;
      this.#isToldToRest = outcome.failed.retry_after_seconds != null;
      this.#restingUntil = now.monotonic + this.#nextRest(outcome.failed.retry_after_seconds, jitter);
      return;
    }
    this.#failures = 0;
    this.#restingUntil = -Infinity;
    if ("renewed" in outcome) {
      this.#generation += 1;
      this.holding = taken(this.#generation, outcome.renewed, now, jitter);
      this.ended = null;
      return;
    }
    // What the store says of an end that is known already is no better reason.
    if (this.ended === null || outcome.ended.is_news) this.ended = outcome.ended.reason;
    this.holding = null;
  }

  /** The network is back: what failed without it may be tried at once, unless a server has said when. */
  cameOnline() {
    if (!this.#isToldToRest) this.#restingUntil = -Infinity;
  }

  /** @param {Moment} now @returns {Decision} */
  #refreshFirst(now) {
    if (this.isFlying) return { step: "wait" };
    const rest = this.#rest(now);
    if (rest <= 0) return { step: "start_and_wait" };
    return this.ended === null
      ? { step: "unavailable", retry_after_seconds: rest }
      : { step: "signed_out", reason: this.ended };
  }

  /** @param {Moment} now */
  #rest(now) {
    return Math.max(0, this.#restingUntil - now.monotonic);
  }

  /** @param {?number | undefined} retryAfter @param {number} jitter */
  #nextRest(retryAfter, jitter) {
    if (retryAfter != null) return Math.min(retryAfter, LONGEST_RETRY_AFTER_SECONDS);
    return Math.min(LONGEST_REST_SECONDS, FIRST_REST_SECONDS * 2 ** (this.#failures - 1)) * (0.5 + 0.5 * jitter);
  }
}
