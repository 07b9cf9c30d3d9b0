// @ts-check
/**
 * A thief with a copy of this browser's refresh token. The copy is made and kept at the server, for no script can read
 * the cookie; it is presented to the same service that decides about every refresh.
 */

import { h } from "../dom.js";
import { t } from "../i18n.js";
import { session } from "../shell.js";
import { control } from "./control.js";

/**
 * @typedef {{would_be: "gone" | "reissue" | "early" | "advance" | "stale" | "replay",
 *   owner_holds: "the_same" | "successor" | "later", thief_has_refreshed: boolean, copy_ripe_in_seconds: number,
 *   owner_ripe_in_seconds: number}} Told
 * @typedef {{answer: "granted" | "stale" | "over", reason?: string, has_refresh_token?: boolean}} Answer
 */

const LOOK_EVERY_MS = 500;

/** @type {?Theft} */
let present = null;

/** Copy the token, and show what comes of it. @param {import("./actions.js").Scene} scene */
export async function startTheft(scene) {
  present?.stop();
  const theft = new Theft(scene);
  present = theft;
  await control("/demo/thief", "POST");
  scene.stage.mark("stolen");
  theft.begin();
}

class Theft {
  #end = new AbortController();
  /** Whether the thief uses the copy as soon as he can, instead of waiting. */
  #isHasty = false;
  #tries = 0;
  /** Whether the copy was ever taken for the owner's. */
  #isIn = false;
  #renewals = 0;
  /** @type {?Answer} */
  #last = null;
  /** When the copy was first seen to be dead. @type {?number} */
  #deadSince = null;
  #title = h("h2", { id: "thief-title", tabindex: -1 });
  #steps = h("ol", { class: "steps" });
  #countdown = h("p", { class: "countdown number" });
  #verdict = h("p", { class: "verdict", role: "status" });
  #hasty = h("button", { type: "button", "data-action": "hasty" });
  #close = h("button", { type: "button" });
  #shown = "";
  /** @type {?("over" | "lost")} */
  #finished = null;

  /** @param {import("./actions.js").Scene} scene */
  constructor({ stage, about }) {
    this.stage = stage;
    this.about = about;
    this.#hasty.addEventListener("click", () => this.#beHasty());
    this.#close.addEventListener("click", () => this.stop());
  }

  begin() {
    const panel = h("section", { class: "card thief", "aria-labelledby": "thief-title" },
      this.#title, this.#steps, this.#countdown, this.#verdict, h("div", { class: "row" }, this.#hasty, this.#close),
    );
    this.stage.aside.replaceChildren(panel);
    this.stage.onSpeak = () => this.#speak();
    this.#title.scrollIntoView({ block: "nearest" });
    void this.#watch();
  }

  stop() {
    this.#end.abort();
    this.stage.aside.replaceChildren();
  }

  async #watch() {
    const { signal } = this.#end;
    while (!signal.aborted) {
      try {
        const told = /** @type {Told} */ (await control("/demo/thief"));
        if (signal.aborted) return;
        if (await this.#step(told)) return;
      } catch (error) {
        // The server was stopped, or somebody has signed in anew: there is nothing left to show.
        console.info("the theft is no longer followed:", error);
        return this.#finish("lost");
      }
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    }
  }

  /** What is to be done now; whether all is over. @param {Told} told */
  async #step(told) {
    const { would_be, owner_holds } = told;
    if (would_be === "replay" || would_be === "gone" || (this.#isHasty && this.#mayUse(told))) {
      const isOver = await this.#use();
      if (isOver) return true;
    } else if ((this.#isHasty || owner_holds !== "later") && this.#mayRenew(told)) {
      this.#renewals += 1;
      await session.renew().catch((error) => console.info("no renewal now:", error));
    }
    this.#show(told);
    return false;
  }

  /** Whether the owner's next step would count: it is taken at once, so that nobody waits long. @param {Told} told */
  #mayRenew({ would_be, owner_holds, owner_ripe_in_seconds }) {
    // The first token of a session counts from the start; any other once it is ripe.
    return owner_ripe_in_seconds === 0 || (would_be === "reissue" && owner_holds === "the_same");
  }

  /** @param {Told} told */
  #mayUse({ would_be, copy_ripe_in_seconds }) {
    return this.#tries === 0 || would_be === "stale" || copy_ripe_in_seconds === 0;
  }

  async #use() {
    this.#tries += 1;
    const answer = /** @type {Answer} */ (await control("/demo/thief/use", "POST"));
    this.#last = answer;
    if (answer.answer === "granted") {
      this.#isIn = true;
      this.stage.mark("thief_granted");
    }
    if (answer.answer !== "over") return false;
    this.stage.mark("thief_over", answer.reason);
    this.#finish("over");
    return true;
  }

  #beHasty() {
    this.#isHasty = true;
    this.#hasty.disabled = true;
  }

  /** @param {Told} told */
  #show(told) {
    const step = this.#isHasty ? "hasty" : STEPS_OF[told.would_be === "stale" ? "dead" : told.owner_holds];
    this.#label(step);
    this.#countdown.textContent = this.#isHasty
      ? t("demo.thief.countdownHasty", Math.ceil(told.copy_ripe_in_seconds))
      : t("demo.thief.countdown", Math.ceil(this.#secondsLeft(told)));
  }

  /** Until the copy is refused, about. @param {Told} told */
  #secondsLeft({ would_be, owner_holds, owner_ripe_in_seconds: ripe }) {
    const { maturity_seconds, overlap_seconds } = this.about;
    if (owner_holds === "the_same") return (would_be === "reissue" ? 0 : ripe) + maturity_seconds + overlap_seconds;
    if (owner_holds === "successor") return ripe + overlap_seconds;
    this.#deadSince ??= performance.now();
    return Math.max(overlap_seconds - (performance.now() - this.#deadSince) / 1000, 0);
  }

  /** @param {"over" | "lost"} how */
  #finish(how) {
    this.#end.abort();
    this.#finished = how;
    this.#countdown.textContent = "";
    this.#hasty.hidden = true;
    this.#speak();
  }

  /** Once it is over, nothing is told anew but the language. */
  #speak() {
    const how = this.#finished;
    if (!how) return;
    this.#label("done");
    const reason = this.#last?.reason ?? "unknown";
    const wasFirst = this.#tries > 1 || this.#isHasty;
    this.#verdict.textContent = how === "lost"
      ? t("demo.thief.lost")
      : t(reason !== "replayed" ? "demo.thief.gone" : wasFirst ? "demo.thief.shutOutHasty" : "demo.thief.shutOut", reason);
  }

  /** @param {string} step */
  #label(step) {
    const state = `${step} ${this.#renewals} ${this.#last?.answer} ${document.documentElement.lang}`;
    if (state === this.#shown) return;
    this.#shown = state;
    this.#title.textContent = t("demo.thief.title");
    this.#hasty.textContent = t("demo.thief.useNow");
    this.#close.textContent = t("demo.thief.close");
    const names = this.#isHasty ? ["copied", "hasty", "done"] : ["copied", "goesOn", "dead", "done"];
    const at = names.indexOf(step);
    this.#steps.replaceChildren(
      ...names.map((name, index) =>
        h("li", { class: index < at ? "past" : index === at ? "present" : "future",
          "aria-current": index === at ? "step" : null },
        t(`demo.thief.${name}`, { ...this.about, renewals: this.#renewals, isIn: this.#isIn })),
      ),
    );
  }
}

/** Which step of the story it is, by what the owner holds. */
const STEPS_OF = /** @type {const} */ ({ the_same: "goesOn", successor: "goesOn", later: "dead", dead: "dead" });
