// @ts-check
/**
 * What stays on the page whoever is signed in: the counters, the timeline, the story, and the thief's panel. It hears
 * the page's own network, its session and the other tabs.
 */

import { h } from "../dom.js";
import { t } from "../i18n.js";
import { session } from "../shell.js";
import { Log } from "./log.js";
import { line, settled, watchNetwork } from "./network.js";
import { Story } from "./story.js";
import { Tabs } from "./tabs.js";
import { Timeline, WINDOW_MS } from "./timeline.js";

/** @typedef {import("./log.js").Outcome} Outcome */
/** @typedef {import("./log.js").Mark} Mark */

const COUNTERS = /** @type {const} */ (["requests", "refused", "refreshes", "again", "failed"]);
const KEPT_MS = WINDOW_MS + 15_000;
const FRAME_MS = 100;
const STILL_FRAME_MS = 1000;

/** Milliseconds since the epoch, with fractions; the same in all tabs. */
const now = () => performance.timeOrigin + performance.now();

export class Stage {
  #log = new Log();
  #timeline = new Timeline();
  #story = new Story();
  #calls = 0;
  #lastDrawn = 0;
  #stillness = matchMedia("(prefers-reduced-motion: reduce)");
  #title = h("h2", { id: "timeline-title" });
  #lead = h("p", { class: "quiet" });
  #storyTitle = h("h2");
  #counters = h("dl", { class: "counters" });
  /** Where a thief's panel stands while there is one. */
  aside = h("div", { class: "aside" });
  element = h("section", { class: "stage", "aria-labelledby": "timeline-title" },
    h("div", { class: "heading" }, this.#title, this.#lead),
    this.#counters,
    h("div", { class: "scene" }, h("div", {}, this.#timeline.element)),
    h("div", { class: "below" }, this.aside, h("div", {}, this.#storyTitle, this.#story.element, this.#story.live)),
  );

  #tabs = new Tabs({
    happened: (event) => this.#log.add(event),
    snapshot: () => ({ events: this.#log.events, counters: this.#log.counters, isOffline: line.isOffline }),
    takeOver: ({ events, counters, isOffline }) => {
      this.#log.takeOver(events, counters);
      if (isOffline) this.#setLine(true);
    },
    left: (tab) => this.#log.add({ kind: "marked", mark: "closed", at: now(), tab }),
    line: (isOffline) => this.#setLine(isOffline),
  });

  /** Told when the line goes down or comes back. @type {() => void} */
  onLine = () => {};
  /** Told when the language was switched. @type {() => void} */
  onSpeak = () => {};

  /** Join the other tabs; from now on everything is seen. */
  async join() {
    watchNetwork((seen) => this.#tabs.happened({ ...seen, at: now(), tab: this.#tabs.number }));
    session.addEventListener("signedout", (event) => {
      this.mark("signed_out", /** @type {Event & {reason: string}} */ (event).reason);
    });
    await this.#tabs.join();
    this.mark("opened");
  }

  /** Begin to draw; the page's texts must be there. */
  begin() {
    document.body.append(this.element);
    new MutationObserver(() => this.#speak()).observe(document.documentElement, { attributeFilter: ["lang"] });
    this.#speak();
    const frame = () => {
      requestAnimationFrame(frame);
      const at = performance.now();
      if (at - this.#lastDrawn < (this.#stillness.matches ? STILL_FRAME_MS : FRAME_MS)) return;
      this.#lastDrawn = at;
      this.#draw();
    };
    frame();
    // A hidden tab draws nothing, but forgets.
    setInterval(() => this.#log.forget(now() - KEPT_MS), 5000);
  }

  /** Something that the timeline shows has happened. @param {Mark} mark @param {string} [more] */
  mark(mark, more) {
    this.#tabs.happened({ kind: "marked", mark, more, at: now(), tab: this.#tabs.number });
  }

  /** Cut the line of all tabs, or mend it. @param {boolean} isOffline */
  switchLine(isOffline) {
    this.mark(isOffline ? "offline" : "online");
    this.#tabs.tellLine(isOffline);
    this.#setLine(isOffline);
  }

  /**
   * One request of the dashboard's, through the session. It is numbered, so that one that is sent again is known.
   * @param {string} tile
   * @param {AbortSignal} signal
   * @returns {Promise<{outcome: Outcome, figures?: any}>}
   */
  async ask(tile, signal) {
    const call = `${this.#tabs.name}-${(this.#calls += 1)}`;
    this.#tabs.happened({ kind: "begun", call, at: now(), tab: this.#tabs.number });
    const answer = await asked(`/demo/api/${tile}?request=${call}`, signal);
    settled(call);
    this.#tabs.happened({ kind: "settled", call, outcome: answer.outcome, at: now(), tab: this.#tabs.number });
    return answer;
  }

  /** @param {boolean} isOffline */
  #setLine(isOffline) {
    if (line.isOffline === isOffline) return;
    line.isOffline = isOffline;
    // As a browser tells its pages.
    dispatchEvent(new Event(isOffline ? "offline" : "online"));
    this.onLine();
  }

  #speak() {
    this.#title.textContent = t("demo.timeline.title");
    this.#lead.textContent = t("demo.timeline.lead");
    this.#storyTitle.textContent = t("demo.story.title");
    this.#counters.replaceChildren(
      ...COUNTERS.map((name) =>
        h("div", { class: `counter ${name}` }, h("dt", {}, t(`demo.counter.${name}`)), h("dd", { class: "number" }, "0")),
      ),
    );
    this.#story.render();
    this.onSpeak();
    this.#draw();
  }

  #draw() {
    const at = now();
    COUNTERS.forEach((name, index) => {
      const shown = this.#counters.children[index].querySelector("dd");
      const text = String(this.#log.counters[name]);
      if (!shown || shown.textContent === text) return;
      shown.textContent = text;
      shown.parentElement?.classList.toggle("some", this.#log.counters[name] > 0);
    });
    this.#timeline.draw(this.#log, this.#lanes(), this.#tabs.number, at);
    this.#story.update(this.#log, at);
  }

  /** The tabs that are open, and those of which something is still to be seen. */
  #lanes() {
    const seen = this.#log.events.map((event) => event.tab);
    return [...new Set([...this.#tabs.open, ...seen])].filter((tab) => tab > 0).sort((one, other) => one - other);
  }
}

/**
 * @param {string} path
 * @param {AbortSignal} signal
 * @returns {Promise<{outcome: Outcome, figures?: any}>}
 */
async function asked(path, signal) {
  try {
    const response = await session.fetch(path, { signal });
    return response.ok ? { outcome: "good", figures: await response.json() } : { outcome: "failed" };
  } catch (error) {
    // The outcome is what the page shows: a user would see a request that failed, but not these.
    if (signal.aborted) return { outcome: "left" };
    if (/** @type {any} */ (error).code === "signed_out") return { outcome: "signed_out" };
    if (line.isOffline) return { outcome: "offline" };
    console.info("a request has failed:", error);
    return { outcome: "failed" };
  }
}
