// @ts-check
/**
 * What has happened in all tabs of this demo, made from the events that they tell each other. Pure: no clock, no page.
 *
 * @typedef {{at: number, tab: number}} When  milliseconds since the epoch; the tab's number
 * @typedef {When & (import("./network.js").Seen | {kind: "begun", call: string}
 *   | {kind: "settled", call: string, outcome: Outcome} | {kind: "marked", mark: Mark, more?: string})} Happened
 * @typedef {"good" | "failed" | "offline" | "signed_out" | "left"} Outcome
 * @typedef {"signed_out" | "offline" | "online" | "expired" | "lose" | "stolen" | "thief_over"
 *   | "thief_granted" | "ended_elsewhere" | "fired" | "opened" | "closed"} Mark
 * @typedef {{at: number, answeredAt: ?number, status: number}} Attempt
 * @typedef {{tab: number, begunAt: number, attempts: Attempt[], settledAt: ?number, outcome: ?Outcome}} Call
 * @typedef {{tab: number, id: number, at: number, endedAt: ?number, status: number}} Refresh
 * @typedef {{tab: number, from: number, to: ?number}} Wait
 * @typedef {{tab: number, at: number, mark: Mark, more: string}} Marked
 * @typedef {{requests: number, refused: number, refreshes: number, again: number, failed: number}} Counters
 * @typedef {{at: number, tab: number, refreshes: Refresh[], refused: number, waited: number, again: number,
 *   failed: number}} Renewal
 */

/** A refresh that follows an unanswered one within this time is the same renewal. */
const SAME_RENEWAL_MS = 4000;
/** The 401s that caused a refresh lie at most this long before it. */
const BEFORE_MS = 1500;
/** What waited for a refresh has been sent and answered this long after it. */
export const SETTLES_WITHIN_MS = 1200;

export class Log {
  /** @type {Map<string, Call>} */
  calls = new Map();
  /** @type {Refresh[]} */
  refreshes = [];
  /** @type {Marked[]} */
  marks = [];
  /** @type {Counters} */
  counters = { requests: 0, refused: 0, refreshes: 0, again: 0, failed: 0 };
  /** The events themselves, for a tab that comes later. @type {Happened[]} */
  events = [];

  /** @param {Happened} event */
  add(event) {
    this.events.push(event);
    const { at, tab } = event;
    if (event.kind === "marked") {
      if (event.mark === "opened" || event.mark === "closed") this.#abandon(tab, at);
      this.marks.push({ at, tab, mark: event.mark, more: event.more ?? "" });
    } else if (event.kind === "refresh") {
      this.counters.refreshes += 1;
      this.refreshes.push({ tab, id: event.id, at, endedAt: null, status: 0 });
    } else if (event.kind === "refreshed") {
      const refresh = this.refreshes.find((each) => each.tab === tab && each.id === event.id && each.endedAt === null);
      if (refresh) Object.assign(refresh, { endedAt: at, status: event.status });
    } else if (event.kind === "begun") {
      this.counters.requests += 1;
      this.calls.set(event.call, { tab, begunAt: at, attempts: [], settledAt: null, outcome: null });
    } else {
      this.#ofCall(event, this.calls.get(event.call));
    }
  }

  /** Nothing more will be heard of what a page had begun that has gone. @param {number} tab @param {number} at */
  #abandon(tab, at) {
    for (const refresh of this.refreshes) if (refresh.tab === tab) refresh.endedAt ??= at;
    for (const call of this.calls.values()) {
      if (call.tab === tab && call.settledAt === null) Object.assign(call, { settledAt: at, outcome: "left" });
    }
  }

  /** @param {Happened} event @param {Call | undefined} call undefined: it began before this page looked */
  #ofCall(event, call) {
    if (!call) return;
    if (event.kind === "sent") {
      if (event.attempt > 1) this.counters.again += 1;
      call.attempts.push({ at: event.at, answeredAt: null, status: 0 });
    } else if (event.kind === "answered") {
      if (event.status === 401) this.counters.refused += 1;
      Object.assign(call.attempts[event.attempt - 1] ?? {}, { answeredAt: event.at, status: event.status });
    } else if (event.kind === "settled") {
      if (event.outcome === "failed") this.counters.failed += 1;
      Object.assign(call, { settledAt: event.at, outcome: event.outcome });
    }
  }

  /** What another tab has seen so far. @param {Happened[]} events @param {Counters} counters */
  takeOver(events, counters) {
    for (const event of events) this.add(event);
    this.counters = { ...counters };
  }

  /** Let go of what is older. @param {number} before */
  forget(before) {
    this.events = this.events.filter((event) => event.at >= before);
    this.marks = this.marks.filter((mark) => mark.at >= before);
    this.refreshes = this.refreshes.filter((refresh) => (refresh.endedAt ?? Infinity) >= before);
    for (const [name, call] of this.calls) {
      if (call.begunAt < before && call.settledAt !== null && call.settledAt < before) this.calls.delete(name);
    }
  }

  /** When calls of session.fetch were held back by a refresh, of whichever tab. @returns {Wait[]} */
  waits() {
    return [...this.calls.values()].flatMap((call) =>
      gaps(call)
        .filter((gap) => this.refreshes.some((refresh) => overlap(gap, refresh)))
        .map((gap) => ({ tab: call.tab, ...gap })),
    );
  }

  /** Each renewal that is over by `now`, with everything that hung on it. @param {number} now @returns {Renewal[]} */
  renewals(now) {
    return together(this.refreshes)
      .filter((group) => now - lastOf(group) > SETTLES_WITHIN_MS)
      .map((group) => this.#renewal(group));
  }

  /** @param {Refresh[]} group @returns {Renewal} */
  #renewal(group) {
    const [from, to] = [group[0].at, lastOf(group)];
    const calls = [...this.calls.values()];
    const refused = calls.filter((call) => isRefusedBefore(call, from, to));
    const waited = calls.filter((call) => gaps(call).some((gap) => group.some((refresh) => overlap(gap, refresh))));
    const concerned = new Set([...refused, ...waited]);
    return {
      at: from, tab: group[0].tab, refreshes: group, refused: refused.length, waited: waited.length,
      again: refused.filter((call) => call.attempts.length > 1).length,
      failed: [...concerned].filter((call) => call.outcome === "failed").length,
    };
  }
}

/** The refreshes of one renewal together: those that went unanswered, and what was tried next. @param {Refresh[]} refreshes */
function together(refreshes) {
  /** @type {Refresh[][]} */
  const groups = [];
  for (const refresh of refreshes) {
    const last = groups.at(-1);
    const before = last?.at(-1);
    const isRetry = before && before.endedAt !== null && before.status !== 200 &&
      refresh.at - before.endedAt < SAME_RENEWAL_MS;
    if (last && isRetry) last.push(refresh);
    else groups.push([refresh]);
  }
  return groups;
}

/**
 * Whether a call was refused with the token that this renewal replaced: sent before it ended, and neither sent again nor
 * given up before it began.
 * @param {Call} call
 * @param {number} from
 * @param {number} to
 */
function isRefusedBefore({ attempts: [first, second], settledAt }, from, to) {
  if (first?.status !== 401 || first.answeredAt === null) return false;
  return first.at <= to && first.answeredAt >= from - BEFORE_MS && (second?.at ?? settledAt ?? Infinity) >= from;
}

/** @param {Refresh[]} group */
const lastOf = (group) => Math.max(...group.map((refresh) => refresh.endedAt ?? Infinity));

/**
 * When a call had begun, or had been refused, and was not on its way.
 * @param {Call} call
 * @returns {{from: number, to: ?number}[]}
 */
function gaps({ begunAt, attempts, settledAt }) {
  const [first, second] = attempts;
  const before = [{ from: begunAt, to: first?.at ?? settledAt }];
  if (!first || first.answeredAt === null || first.status !== 401) return before;
  return [...before, { from: first.answeredAt, to: second?.at ?? settledAt }];
}

/** @param {{from: number, to: ?number}} gap @param {Refresh} refresh */
const overlap = ({ from, to }, { at, endedAt }) => {
  const isHeld = (to ?? Infinity) > from;
  return isHeld && from <= (endedAt ?? Infinity) && (to ?? Infinity) >= (endedAt ?? at);
};
