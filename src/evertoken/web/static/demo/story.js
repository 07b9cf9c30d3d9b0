// @ts-check
/** What has happened, in words: for screen readers, and for everybody who wants to know what the picture showed. */

import { h } from "../dom.js";
import { clockTime, has, t } from "../i18n.js";

/** @typedef {import("./log.js").Log} Log */
/** @typedef {{at: number, key: string, values: unknown[], isBad: boolean, isNews: boolean}} Entry */

const LONGEST = 40;
/** Marks that say nothing beyond what the button said. */
const SILENT = new Set(["thief_over"]);
/** Tabs learn of an end within this time of each other. */
const SAME_END_MS = 4000;

export class Story {
  /** @type {Entry[]} newest first */
  #entries = [];
  #told = new Set();
  #list = h("ol", { class: "story" });
  #live = h("p", { class: "visually-hidden", role: "status" });
  /** Where the list begins and the announcements are made; the list scrolls, so it can be focused. */
  element = h("div", { class: "story-frame", tabindex: 0, role: "group" }, this.#list);
  live = this.#live;

  /** Tell what is new. @param {Log} log @param {number} now */
  update(log, now) {
    const fresh = [...renewals(log, now), ...marks(log)].filter(([name]) => !this.#told.has(name));
    if (fresh.length === 0) return;
    for (const [name, entry] of fresh) {
      this.#told.add(name);
      this.#entries.push(entry);
    }
    this.#entries.sort((one, other) => other.at - one.at);
    this.#entries.length = Math.min(this.#entries.length, LONGEST);
    const news = fresh.map(([, entry]) => entry).filter((entry) => entry.isNews);
    if (news.length > 0) this.#live.textContent = news.map(words).join(" ");
    this.render();
  }

  /** In the language of the moment. */
  render() {
    this.element.setAttribute("aria-label", t("demo.story.title"));
    const items = this.#entries.map((entry) =>
      h("li", { class: entry.isBad ? "bad" : entry.isNews ? "news" : null },
        h("time", { class: "quiet number" }, clockTime(entry.at / 1000)), " ", words(entry),
      ),
    );
    this.#list.replaceChildren(...items);
  }
}

/** @param {Entry} entry */
const words = ({ key, values }) => t(key, ...values);

/** @param {Log} log @param {number} now @returns {[string, Entry][]} */
function renewals(log, now) {
  return log.renewals(now).map((renewal) => {
    const { at, tab, refreshes, refused, waited, again, failed } = renewal;
    const last = /** @type {import("./log.js").Refresh} */ (refreshes.at(-1));
    const took = Math.max(1, Math.round((last.endedAt ?? last.at) - at));
    const key = keyOf(renewal, last.status);
    const values = [{ tab, refused, waited, again, failed, took, calls: refreshes.length }];
    const isNews = key !== "demo.story.renewed";
    return [`refresh ${at} ${tab}`, { at, key, values, isBad: failed > 0 || last.status === 401, isNews }];
  });
}

/** @param {import("./log.js").Renewal} renewal @param {number} status of its last refresh */
function keyOf({ refreshes, refused }, status) {
  if (status === 401) return "demo.story.refreshRefused";
  if (status === 503) return "demo.story.toldToWait";
  if (status !== 200) return "demo.story.unanswered";
  if (refreshes.length > 1) return "demo.story.lost";
  return refused > 0 ? "demo.story.refused" : "demo.story.renewed";
}

/** @param {Log} log @returns {[string, Entry][]} */
function marks(log) {
  let lastEnd = -Infinity;
  return log.marks.flatMap(({ at, tab, mark, more }) => {
    if (SILENT.has(mark)) return [];
    if (mark === "signed_out") {
      const isSame = at - lastEnd < SAME_END_MS;
      lastEnd = at;
      if (isSame) return [];
    }
    const isBad = mark === "signed_out" && more !== "signed_out";
    const why = has(`over.${more}`) ? `over.${more}` : "over.unknown";
    const key = mark === "signed_out" ? why : `demo.told.${mark}`;
    const values = mark === "fired" ? [...more.split("/"), tab] : [tab];
    return [[`${mark} ${at} ${tab}`, { at, key, values, isBad, isNews: mark !== "opened" && mark !== "closed" }]];
  });
}
