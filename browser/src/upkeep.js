// @ts-check
/**
 * What a page does for its session without being asked: while it is shown, when it wakes, when it is online again, when
 * another tab tells of a change. A request finds all of this out by itself, only later.
 */

import { judgeStored } from "./decide/succession.js";
import { account } from "./parts.js";
import { inTime } from "./waits.js";

/** @typedef {import("./session.js").Session} Session */
/** @typedef {import("./decide/record.js").Record} Record */

/** How often a page that is shown looks whether its token ends soon. A hidden one does not look. */
const TICK_MS = 15_000;

/**
 * Look into the store, where another tab may have written; and renew a token that ends soon, if that is asked.
 * @param {Session} session
 * @param {boolean} renews
 * @returns {Promise<?Record>} what stands there
 * @throws {import("./errors.js").SessionError} what stands there is damaged, and says nothing of an end
 */
async function look({ gate }, renews) {
  const [, stored] = await gate.read();
  if (gate.own.is_signed_in && !gate.refresher.isFlying) {
    const judged = judgeStored(stored, gate.own, Date.now() / 1000);
    if (judged) gate.tookOver(judged);
    // Nobody waits for it, and the next request tells.
    else if (renews) gate.enter(true).catch(() => {});
  }
  return stored;
}

/**
 * @param {Session} session
 * @param {import("./keep/channel.js").Channel} channel
 * @param {AbortSignal} signal ends it
 */
export function watch(session, channel, signal) {
  const { gate } = session;
  let hasSeenSomebody = false;
  const see = async (/** @type {boolean} */ renews) => {
    try {
      const stored = await look(session, renews);
      const isSomebody = stored?.ended === null;
      // Another tab has signed in while nobody is signed in here.
      if (isSomebody && !session.user && !hasSeenSomebody) session.tell("signedin", { isElsewhere: true });
      hasSeenSomebody = isSomebody;
    } catch {
      // Nobody waits for it, and the next request tells.
    }
  };

  /** Once for all requests that come when the page is back. */
  const catchUp = () => {
    // A store that cannot be read says nothing new; the request finds out by itself.
    const looked = inTime(look(session, false), session.timeoutSeconds).catch(() => null).then(() => {
      if (gate.catchUp === looking) gate.catchUp = null;
    });
    const looking = () => looked;
    gate.catchUp = looking;
    return looked;
  };
  let isAway = false;
  const away = (/** @type {boolean} */ isIt) => {
    isAway = isIt;
    if (isIt) gate.catchUp = catchUp;
  };

  // A frozen tab hears the others, but a transaction that it began would hold all of them up.
  channel.hear(({ changed }) => void (changed && !isAway && see(false)));
  watchPage(see, () => gate.refresher.cameOnline(), away, signal);
  // Another tab may have told of a change before this was there to hear it.
  if (session.user) see(false);
}

/**
 * @param {(renews: boolean) => void} see
 * @param {() => void} cameOnline
 * @param {(isIt: boolean) => void} away  frozen, or kept for the back button
 * @param {AbortSignal} signal ends it
 */
function watchPage(see, cameOnline, away, signal) {
  const { document, window } = globalThis;
  if (!document?.addEventListener) return;
  let hasFetchedAhead = false;
  const idle = () => {
    // So that a page which stays open can sign out also when the files it came from are gone.
    if (!hasFetchedAhead) account().catch(() => {});
    hasFetchedAhead = true;
    see(true);
  };
  /** @type {ReturnType<typeof setInterval> | undefined} */
  let ticking;
  const tick = () => {
    clearInterval(ticking);
    const isShown = document.visibilityState !== "hidden" && !signal.aborted;
    if (isShown) ticking = setInterval(idle, TICK_MS);
    return isShown;
  };
  const hear = (/** @type {Event} */ { type }) => {
    const isLeaving = /^(freeze|pagehide)$/.test(type);
    // From the back-forward cache, or thawed: what other tabs have told meanwhile was not heard.
    if (isLeaving || /^(resume|pageshow)$/.test(type)) away(isLeaving);
    if (isLeaving) return;
    if (type === "online") cameOnline();
    const isShown = tick();
    if (isShown || type !== "visibilitychange") see(isShown);
  };
  for (const type of ["visibilitychange", "freeze", "resume"]) document.addEventListener(type, hear, { signal });
  for (const type of ["pagehide", "pageshow", "online"]) window.addEventListener(type, hear, { signal });
  signal.addEventListener("abort", tick);
  tick();
}
