// @ts-check
/** Messages below the header, which screen readers announce: news politely, errors at once. */

import { h } from "../dom.js";

export class Messages {
  #news = h("p", { class: "message", role: "status" });
  #errors = h("p", { class: "message error", role: "alert" });

  /** The regions stand there from the start: a screen reader does not announce what is in a region that is new. */
  element = h("div", { class: "messages" }, this.#news, this.#errors);

  /** @param {string} text @param {"info" | "error"} [kind] */
  say = (text, kind = "info") => {
    this.clear();
    (kind === "error" ? this.#errors : this.#news).textContent = text;
  };

  clear = () => {
    this.#news.textContent = "";
    this.#errors.textContent = "";
  };
}
