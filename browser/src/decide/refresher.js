// @ts-check
/**
 * The refresher: what to do before a request, after a refusal, and when a refresh has ended.
 *
 * Pure: it is told the time and what happened, and says what to do next. It never waits, sends or locks. The cases in
 * conformance/refresher drive it and the Python client's step by step. Times are seconds.
 *
 * @typedef {{wall: number, monotonic: number}} Moment  wall clock since the epoch, and one that is never set back
 * @typedef {{generation: number, access_token: string, renew: ?Moment, renewForGood: ?Moment, expires: ?Moment,
 *   owner?: import("./record.js").Own, isFetched?: boolean, isRefused?: boolean, unhelpfulUntil?: number}} Holding
 *   isFetched: by this page; isRefused: a request was, because of it;
 *   unhelpfulUntil: so was one that had been sent again with it, which causes no other refresh until then
 * @typedef {{access_token: string, expires_at: ?number, lifetime_seconds: ?number, is_renewable?: boolean,
 *   is_fetched?: boolean, session_id?: ?string, account?: ?string}} Renewed
 * @typedef {{retry_after_seconds?: ?number, why?: string, error?: any}} Failed
 * @typedef {{renewed?: Renewed, failed?: Failed, ended?: {reason: string, is_news?: boolean}}} Outcome  one of them
 */
/**
 * @typedef {object} Decision  empty: the answer goes to the application
 * @property {boolean} [starts] a refresh begins now
 * @property {boolean} [waits] the request waits for the refresh that is running, and the refresher is asked again
 * @property {Holding} [holding] the request is sent with this
 * @property {string} [over] why the session is over; what begins then is its end
 * @property {string} [reason] why the request is not sent: nobody is signed in
 * @property {boolean} [wantsNew] no other token does than one that is fetched now
 * @property {number} [rest] the request is not sent: there is no new token, and for so many seconds none is tried
 */

/** How long before its end a token in use is renewed, at most; and at most this part of its lifetime. */
const MARGIN_SECONDS = 60;
const MARGIN_SHARE = 0.2;
/** This part of the margin is drawn by lot, so that a thousand pages that were opened together do not come together. */
const MARGIN_JITTER = 0.25;
const LONGEST_REST_SECONDS = 30;
/** A Retry-After beyond this is taken for a mistake. */
const LONGEST_RETRY_AFTER_SECONDS = 3600;
/** How long a refusal of a token that has only just been renewed causes no other refresh. */
const UNHELPFUL_SECONDS = 30;

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
function taken(generation, { access_token, expires_at, lifetime_seconds, is_fetched, is_renewable = true }, now, jitter) {
  // A wall clock that was set back since would let the token live longer than it ever did.
  const left = expires_at == null ? null : Math.min(expires_at - now.wall, lifetime_seconds ?? Infinity);
  const margin = is_renewable ? Math.min(MARGIN_SECONDS, (lifetime_seconds ?? left ?? 0) * MARGIN_SHARE) : 0;
  const beforeEnd = (/** @type {number} */ seconds) =>
    left === null ? null : { wall: now.wall + left - seconds, monotonic: now.monotonic + left - seconds };
  return {
    generation,
    access_token,
    isFetched: is_fetched,
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
  #restsUntil = 0;
  #isToldToRest = false;

  /**
   * A request is about to be sent. Whoever is signed out looks into the store first: somebody may have signed in there.
   * @param {Moment} now
   * @param {boolean} isRepeatable whether it could be sent once more; if not, a token that ends soon is renewed first
   * @returns {Decision}
   */
  beforeSending(now, isRepeatable = true) {
    const { holding, isFlying } = this;
    // What is being renewed because it was refused would only be refused again.
    if (!holding || hasCome(holding.expires, now) || (isFlying && holding.isRefused)) return this.onDemand(now);
    const endsSoon = hasCome(isRepeatable ? holding.renew : holding.renewForGood, now);
    if (!endsSoon || this.#rest(now) || (isFlying && isRepeatable)) return { holding };
    return isRepeatable ? { holding, starts: true } : this.onDemand(now);
  }

  /**
   * A request was refused because of its access token.
   * @param {Moment} now
   * @param {number} generation the one that it was sent with
   * @param {boolean} wasSentAgain whether that was its second time; there is no third
   * @param {?string} over why the session is over, where the answer says that it is
   * @returns {Decision}
   */
  afterRefusal(now, generation, wasSentAgain, over) {
    const { holding, ended } = this;
    if (!holding && ended) return { reason: ended };
    const current = holding?.generation === generation ? holding : null;
    if (current && over !== null) {
      current.isRefused = true;
      return { waits: true, starts: !this.isFlying, over };
    }
    if (wasSentAgain) {
      // Renewing it did not help, so it is not the token's age: an audience, a role, a broken guard. One that was found in
      // the store has not been renewed by this page; its next refusal renews it.
      if (current?.isFetched) current.unhelpfulUntil = now.monotonic + UNHELPFUL_SECONDS;
      return {};
    }
    if (!current) return this.beforeSending(now, false);
    if (now.monotonic < (current.unhelpfulUntil ?? 0)) return {};
    current.isRefused = true;
    return this.onDemand(now);
  }

  /**
   * The refresh that a request has waited for has ended.
   * @param {Moment} now
   * @param {Outcome} outcome
   * @param {?number} generation the one that was refused, if the request had been sent before
   * @param {boolean} isRepeatable whether its body could be sent twice
   * @returns {Decision}
   */
  afterWaiting(now, { renewed, ended }, generation, isRepeatable) {
    const { holding } = this;
    if (!holding && this.ended) return { reason: this.ended };
    // Somebody has signed in again meanwhile, perhaps somebody else: not with a request of the old session.
    if (ended) return { reason: ended.reason };
    // Even where answers take longer than a token lives, one refresh is made for a request, not a row.
    if (holding && renewed?.is_fetched) return { holding };
    if (renewed) return this.beforeSending(now, isRepeatable && generation === null);
    return holding && !hasCome(holding.expires, now) && holding.generation !== generation
      ? { holding }
      : { rest: this.#rest(now) };
  }

  /** The application wants a new access token now, whatever becomes of the old one. @param {Moment} now @returns {Decision} */
  onDemand(now) {
    const { ended, isFlying } = this;
    const rest = this.#rest(now);
    if (isFlying || !rest) return { waits: true, starts: !isFlying };
    return ended ? { reason: ended } : { rest };
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
  flightEnded(now, { renewed, failed, ended }, jitter) {
    this.isFlying = false;
    if (failed) {
      const told = failed.retry_after_seconds ?? null;
      this.#isToldToRest = told !== null;
      const seconds = Math.min(LONGEST_REST_SECONDS, 2 ** this.#failures++) * (0.5 + 0.5 * jitter);
      this.#restsUntil = now.monotonic + Math.min(told ?? seconds, LONGEST_RETRY_AFTER_SECONDS);
      return;
    }
    this.#failures = this.#restsUntil = 0;
    // What the store says of an end that is known already is no better reason.
    if (renewed || !this.ended || ended?.is_news) this.ended = ended?.reason ?? null;
    this.holding = renewed ? taken(++this.#generation, renewed, now, jitter) : null;
  }

  /** The network is back: what failed without it may be tried at once, unless a server has said when. */
  cameOnline() {
    if (!this.#isToldToRest) this.#restsUntil = 0;
  }

  /** @param {Moment} now */
  #rest(now) {
    return Math.max(0, this.#restsUntil - now.monotonic);
  }
}
