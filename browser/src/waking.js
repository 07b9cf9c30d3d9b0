// @ts-check
/** When a page looks after its session without being asked: while it is shown, when it wakes, when it is online again. */

/** How often a page that is shown looks whether its token ends soon. A hidden one does not look. */
const TICK_MS = 15_000;

/**
 * @param {(renews: boolean, isIdle?: boolean) => void} look  idle: nothing has happened but that time went by
 * @param {() => void} cameOnline
 * @param {(isIt: boolean) => void} away  frozen, or kept for the back button
 * @param {AbortSignal} signal ends it
 */
export function watch(look, cameOnline, away, signal) {
  const { document, window } = globalThis;
  if (!document?.addEventListener) return;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  let ticking;
  const tick = () => {
    clearInterval(ticking);
    const isShown = document.visibilityState !== "hidden" && !signal.aborted;
    if (isShown) ticking = setInterval(look, TICK_MS, true, true);
    return isShown;
  };
  const hear = (/** @type {Event} */ { type }) => {
    const isLeaving = /^(freeze|pagehide)$/.test(type);
    // From the back-forward cache, or thawed: what other tabs have told meanwhile was not heard.
    if (isLeaving || /^(resume|pageshow)$/.test(type)) away(isLeaving);
    if (isLeaving) return;
    if (type === "online") cameOnline();
    const isShown = tick();
    if (isShown || type !== "visibilitychange") look(isShown);
  };
  for (const type of ["visibilitychange", "freeze", "resume"]) document.addEventListener(type, hear, { signal });
  for (const type of ["pagehide", "pageshow", "online"]) window.addEventListener(type, hear, { signal });
  signal.addEventListener("abort", tick);
  tick();
}
