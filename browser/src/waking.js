// @ts-check
/** When a page looks after its session without being asked: while it is shown, when it wakes, when it is online again. */

/** How often a page that is shown looks whether its token ends soon. A hidden one does not look. */
const TICK_MS = 15_000;

/**
 * @param {(renews: boolean) => void} look
 * @param {() => void} cameOnline
 * @param {(isIt: boolean) => void} away  frozen, or kept for the back button
 * @returns {() => void} stops it
 */
export function watch(look, cameOnline, away) {
  const { document, window } = globalThis;
  if (!document?.addEventListener) return () => {};
  /** @type {ReturnType<typeof setInterval> | undefined} */
  let ticking;
  const check = () => {
    clearInterval(ticking);
    ticking = undefined;
    if (document.visibilityState === "hidden") return;
    ticking = setInterval(() => look(true), TICK_MS);
    look(true);
  };
  const online = () => {
    cameOnline();
    look(document.visibilityState !== "hidden");
  };
  const leave = () => away(true);
  const back = () => {
    away(false);
    if (document.visibilityState === "hidden") look(false);
    check();
  };
  // From the back-forward cache, or thawed: what other tabs have told meanwhile was not heard.
  /** @type {[EventTarget, string, () => void][]} */
  const listening = [
    [document, "visibilitychange", check],
    [document, "freeze", leave],
    [document, "resume", back],
    [window, "pagehide", leave],
    [window, "pageshow", back],
    [window, "online", online],
  ];
  for (const [target, type, hear] of listening) target.addEventListener(type, hear);
  if (document.visibilityState !== "hidden") ticking = setInterval(() => look(true), TICK_MS);
  return () => {
    clearInterval(ticking);
    for (const [target, type, hear] of listening) target.removeEventListener(type, hear);
  };
}
