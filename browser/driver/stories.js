// @ts-check
/** Plays the stories of conformance/refresher to a refresher. */

import assert from "node:assert/strict";

import { Refresher } from "../src/decide/refresher.js";
import { BadCase, casesIn, whole } from "./loading.js";

/** @typedef {import("./loading.js").Members} Members */
/** @typedef {import("./loading.js").Kind} Kind */
/** @typedef {import("../src/decide/refresher.js").Decision} Decision */
/** @typedef {import("../src/decide/refresher.js").Moment} Moment */
/** @typedef {import("../src/decide/refresher.js").Outcome} Outcome */
/** @typedef {{step: string, generation?: number, reason?: string, retry_after_seconds?: number}} Expected */
/**
 * @typedef {{kind: string, now: Moment, times: number, outcome: ?Outcome, expected: ?Expected,
 *   tell: (subject: Refresher) => Decision | void}} Event
 */

/** @type {Record<string, Record<string, Kind>>} */
const STEPS_WITH = {
  send: { generation: "integer" },
  send_and_renew: { generation: "integer" },
  wait: {},
  start_and_wait: {},
  end_and_wait: { reason: "string" },
  pass: {},
  signed_out: { reason: "string" },
  unavailable: { retry_after_seconds: "number" },
};
const STARTING = ["start_and_wait", "send_and_renew", "end_and_wait"];
const CLOSE_ENOUGH_SECONDS = 1e-6;

/** Play a story; throws where the refresher decides otherwise. @param {{events: Event[]}} story */
export function play({ events }) {
  const subject = new Refresher();
  /** @type {string[]} */
  const tokens = [];
  for (const [index, { kind, now, times, outcome, expected, tell }] of events.entries()) {
    const where = `step ${index + 1}, ${kind} at ${JSON.stringify(now)}`;
    for (let time = 0; time < times; time += 1) {
      const decision = tell(subject);
      if (kind === "flight_ended" && outcome?.renewed) tokens.push(outcome.renewed.access_token);
      if (expected) compare(/** @type {Decision} */ (decision), expected, tokens, where);
    }
  }
}

/** What the README calls a decision. @param {Decision} decision @returns {Expected} */
function stepOf({ waits, starts, over, holding, reason, rest }) {
  if (waits) return starts ? (over ? { step: "end_and_wait", reason: over } : { step: "start_and_wait" }) : { step: "wait" };
  if (holding) return { step: starts ? "send_and_renew" : "send", generation: holding.generation };
  if (reason !== undefined) return { step: "signed_out", reason };
  return rest === undefined ? { step: "pass" } : { step: "unavailable", retry_after_seconds: rest };
}

/** @param {Decision} decision @param {Expected} expected @param {string[]} tokens @param {string} where */
function compare(decision, expected, tokens, where) {
  const found = stepOf(decision);
  const { holding } = decision;
  if (holding) assert.equal(holding.access_token, tokens[holding.generation - 1], where);
  const off = Math.abs((found.retry_after_seconds ?? NaN) - (expected.retry_after_seconds ?? NaN));
  if (off < CLOSE_ENOUGH_SECONDS) found.retry_after_seconds = expected.retry_after_seconds;
  assert.deepEqual(found, expected, where);
}

/** The stories of a file. @param {Members} members */
export const storiesIn = (members) => casesIn(members, (story) => ({ events: events(story) }));

/** @param {Members} story @returns {Event[]} */
function events(story) {
  let now = { wall: 0, monotonic: 0 };
  /** @type {Event[]} */
  const found = [];
  for (const value of story.take("steps", "list")) {
    const event = whole(value, story.where, (step) => {
      if (step.has("at")) now = moment(step);
      return read(step, now);
    });
    const before = found.at(-1);
    if (event.kind === "flight_started" && !(before?.times === 1 && STARTING.includes(before.expected?.step ?? ""))) {
      throw new BadCase(`${story.where}: a refresh starts that nobody has asked for`);
    }
    found.push(event);
  }
  return found;
}

/** Both clocks, or one number for both. @param {Members} step */
function moment(step) {
  const at = step.take("at", ["number", "object"]);
  if (typeof at === "number") return { wall: at, monotonic: at };
  return whole(at, step.where, (clocks) => ({
    wall: clocks.take("wall", "number"),
    monotonic: clocks.take("monotonic", "number"),
  }));
}

/** @param {Members} step @param {Moment} now @returns {Event} */
function read(step, now) {
  const kind = step.take("event", "string");
  const times = step.take("times", "integer", 1);
  const takeOutcome = () => step.inner("outcome", readOutcome);
  const takeIsRepeatable = () => step.take("is_repeatable", "boolean", true);
  const decides = { kind, now, times, outcome: null };
  switch (kind) {
    case "before_sending": {
      const isRepeatable = takeIsRepeatable();
      return { ...decides, expected: expected(step), tell: (subject) => subject.beforeSending(now, isRepeatable) };
    }
    case "after_refusal": {
      const generation = step.take("generation", "integer");
      const wasSentAgain = step.take("was_sent_again", "boolean", false);
      const over = step.take("over", "string", null);
      const tell = (/** @type {Refresher} */ subject) => subject.afterRefusal(now, generation, wasSentAgain, over);
      return { ...decides, expected: expected(step), tell };
    }
    case "after_waiting": {
      const outcome = takeOutcome();
      const generation = step.take("generation", "integer", null);
      const isRepeatable = takeIsRepeatable();
      const tell = (/** @type {Refresher} */ subject) => subject.afterWaiting(now, outcome, generation, isRepeatable);
      return { ...decides, outcome, expected: expected(step), tell };
    }
    case "on_demand":
      return { ...decides, expected: expected(step), tell: (subject) => subject.onDemand(now) };
    case "flight_started":
      return { ...decides, expected: null, tell: (subject) => void (subject.isFlying = true) };
    case "flight_ended": {
      const outcome = takeOutcome();
      const jitter = step.take("jitter", "number", 0);
      return { ...decides, outcome, expected: null, tell: (subject) => subject.flightEnded(now, outcome, jitter) };
    }
    default:
      throw new BadCase(`${step.where}: does not know the event ${kind}`);
  }
}

/** @param {Members} step @returns {Expected} */
const expected = (step) =>
  step.inner("expect", (expect) => {
    const said = expect.take("step", "string");
    if (!Object.hasOwn(STEPS_WITH, said)) throw new BadCase(`${expect.where}: does not know the step ${said}`);
    const members = Object.entries(STEPS_WITH[said]).map(([name, kind]) => [name, expect.take(name, kind)]);
    return { step: said, ...Object.fromEntries(members) };
  });

/** @param {Members} members @returns {Outcome} */
function readOutcome(members) {
  const kind = members.only("renewed", "failed", "ended");
  return members.inner(kind, (inner) => {
    switch (kind) {
      case "renewed":
        return {
          renewed: {
            access_token: inner.take("access_token", "string"),
            expires_at: inner.take("expires_at", "number", null),
            lifetime_seconds: inner.take("lifetime_seconds", "number", null),
            is_renewable: inner.take("is_renewable", "boolean", true),
            is_fetched: inner.take("is_fetched", "boolean", false),
          },
        };
      case "failed":
        return { failed: { retry_after_seconds: inner.take("retry_after_seconds", "number", null) } };
      default:
        return { ended: { reason: inner.take("reason", "string"), is_news: inner.take("is_news", "boolean", false) } };
    }
  });
}
