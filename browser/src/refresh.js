// @ts-check
/**
 * The refresh itself, and whether an answer calls for one: loaded with a session's first use, for a page that has a good
 * token sends its requests without. The lease is held around {read, send, write} only, and not while this loads.
 */

import { sendCall } from "./calls.js";
import { LONGEST_BODY_READ, parseBody, refusal, wantsBody } from "./decide/answers.js";
import { renewed } from "./decide/record.js";
import { judgeStored, successor, tombstone } from "./decide/succession.js";
import { inFull } from "./decide/speech.js";
import { readRefresh, unusable } from "./decide/tokens.js";
import { write } from "./keep/writing.js";
import { readUpTo } from "./reading.js";
import { ASLEEP_SECONDS, monotonic, now, pause } from "./waits.js";

/** @typedef {import("./decide/record.js").Own} Own */
/** @typedef {import("./decide/record.js").Record} Record */
/** @typedef {import("./decide/refresher.js").Outcome} Outcome */
/** @typedef {import("./decide/carrying.js").Carrying} Carrying */
/** @typedef {import("./session.js").Session} Session */

/** After each try; the last is followed by none. */
const PAUSES_SECONDS = [0.2, 0.8, Infinity];
const ANSWER_WITHIN_SECONDS = 10;

/**
 * A new access token, or what another tab has made of it.
 * @param {Session} session
 * @param {Own} own
 * @param {string | undefined} over a resource has said so: there is nothing to ask
 * @param {number} giveUpAt on the monotonic clock
 * @returns {Promise<Outcome>}
 */
export async function refresh(session, own, over, giveUpAt) {
  const judged = judgeStored((await session.gate.read())[1], own, now().wall);
  if (judged) return judged;
  // Read first, so that a storage that does not work has given way to memory.
  return session.store.lease(() => underLease(session, own, over, giveUpAt), session.timeoutSeconds * 1000);
}

/**
 * @param {Session} session
 * @param {Own} own
 * @param {string | undefined} over
 * @param {number} giveUpAt
 * @returns {Promise<Outcome>}
 */
async function underLease(session, own, over, giveUpAt) {
  const { gate, speech, timeoutSeconds } = session;
  /** @type {import("./decide/refresher.js").Failed} */
  let failed = { why: "no time was left" };
  for (const pauseSeconds of PAUSES_SECONDS) {
    const readAt = now();
    const [document, stored] = await gate.read();
    const judged = judgeStored(stored, own, readAt.wall);
    if (judged || !stored) return /** @type {Outcome} */ (judged);
    const sentAt = now();
    // The tab may have been frozen since the refresh token was read: it is read again.
    if (sentAt.wall - readAt.wall > ASLEEP_SECONDS) {
      // Not the time of those who wait.
      giveUpAt = sentAt.monotonic + timeoutSeconds;
      continue;
    }
    const left = Math.min(ANSWER_WITHIN_SECONDS, giveUpAt - sentAt.monotonic);
    if (left <= 0) break;
    const { tokens, unusable, over: reason = "" } = over ? { over } : await ask(session, stored, left);
    if (unusable) {
      const at = monotonic();
      if (at - sentAt.monotonic > ANSWER_WITHIN_SECONDS + ASLEEP_SECONDS) giveUpAt = at + timeoutSeconds;
      failed = unusable;
      const seconds = Math.max(pauseSeconds, unusable.retry_after_seconds ?? 0);
      // Where a refresh token is good for one use, sending it again at once would look like theft.
      if (unusable.is_final || !inFull(speech).isRepeatable || at + seconds >= giveUpAt) break;
      await pause(seconds);
      continue;
    }
    const next = tokens ? successor(stored, tokens, sentAt.wall) : tombstone(stored, reason);
    // Written before anybody is told; where somebody has written meanwhile, it is read again.
    if (await write(gate, document, next)) return tokens ? renewed(next, true) : { ended: { reason, is_news: true } };
  }
  return { failed };
}

/**
 * @param {Session} session
 * @param {Record} stored
 * @param {number} seconds
 * @returns {Promise<import("./decide/tokens.js").Said>}
 */
async function ask(session, { refresh_token, session_id }, seconds) {
  try {
    const { status, retryAfter, document } = await sendCall(session, "refresh", refresh_token, seconds * 1000);
    return readRefresh(inFull(session.speech), status, retryAfter, document, session_id);
  } catch (/** @type {any} */ error) {
    return unusable(`no answer (${error.message})`, null, false);
  }
}

/**
 * Whether an answer is a refusal of the access token.
 * @param {Carrying} carrying
 * @param {Response} response
 * @returns {Promise<?{over: ?string}>}
 */
export async function judge(carrying, response) {
  const speech = inFull(carrying);
  const { status, headers } = response;
  const reads = wantsBody(speech, status, headers.get("Content-Type"), headers.get("Content-Length"));
  return refusal(speech, status, parseBody(reads ? await readUpTo(LONGEST_BODY_READ, response.clone()) : null));
}
