// @ts-check
/** The story of one session, for whoever has to answer "why was I signed out". */

import { h } from "../dom.js";
import { clockTime, dateTime, has, number, t } from "../i18n.js";
import { deviceName } from "../shell/devices.js";
import { badge } from "./sessions.js";
import { atDate, toTheSecond } from "./times.js";

/** @typedef {import("./sessions.js").Item} Session */
/**
 * @typedef {{presented_generation: number, presented_age_seconds: number, session_generation: number,
 *   since_succession_seconds: number, other_address: string, other_device: string}} Evidence
 * @typedef {{at: number, kind: string, text: string, address: string, device: string, count: number, last_at?: number,
 *   reason?: string, operator?: string, evidence?: Evidence}} Item
 */

const GRAVE = ["replay", "heal"];

/** Show it in a dialog of its own. @param {import("../shell.js").Page} page @param {Session} session */
export async function tellStory(page, session) {
  const before = document.activeElement;
  /** @type {{session: Session, items: Item[]}} */
  const story = await page.call(`/admin/sessions/${session.id}/timeline`);
  const close = h("button", { type: "button", class: "primary" }, t("story.close"));
  /** @type {HTMLDialogElement} */
  const dialog = h("dialog", { class: "story", "aria-labelledby": "story" },
    h("h2", { id: "story" }, t("story.title", story.session.username)),
    facts(story.session),
    h("h3", {}, t("story.happened")),
    h("ol", { class: "events" }, story.items.map(event)),
    h("div", { class: "row end" }, close),
  );
  document.body.append(dialog);
  const done = new AbortController();
  close.addEventListener("click", () => dialog.close());
  page.signal.addEventListener("abort", () => dialog.close(), { signal: done.signal });
  dialog.addEventListener("close", () => {
    done.abort();
    dialog.remove();
    if (before instanceof HTMLElement && before.isConnected) before.focus();
  });
  dialog.showModal();
}

/** @param {Session} session */
function facts(session) {
  /** @param {number} at @param {string} address @param {string} device */
  const place = (at, address, device) => [atDate(at), h("span", { title: device }, ` · ${from(address, device)}`)];
  const at = session.ended_at ?? session.expires_at;
  /** @type {[string, import("../dom.js").Child | import("../dom.js").Child[]][]} */
  const told = [
    ["state", [badge(session.state), " ", t(session.state === "live" ? "story.until" : "story.since", dateTime(at))]],
    ["begun", place(session.created_at, session.created_address, session.created_device)],
    ["refreshed", place(session.last_refreshed_at, session.address, session.device)],
    ["rotations", number(session.rotations)],
    ["client", `${session.client_id} · ${t(`delivery.${session.delivery}`)}`],
    ["id", h("code", {}, session.id)],
  ];
  return h("dl", { class: "facts" }, told.flatMap(([name, value]) => [h("dt", {}, t(`story.${name}`)), h("dd", {}, value)]));
}

/** @param {Item} item */
function event(item) {
  const where = from(item.address, item.device);
  const isKnown = has(`event.${item.kind}`);
  const what = item.kind === "session_ended" && item.reason
    ? t("event.ended", t(`state.${item.reason}`))
    : isKnown ? t(`event.${item.kind}`) : item.text;
  return h("li", { class: GRAVE.includes(item.kind) ? "grave" : null },
    toTheSecond(item.at),
    h("div", {},
      h("span", { lang: isKnown ? null : "en" }, what),
      item.count > 1 && item.last_at !== undefined && ` · ${t("story.times", number(item.count), clockTime(item.last_at))}`,
      where && h("div", { class: "quiet", title: item.device }, where),
      item.operator && h("div", { class: "quiet" }, t("story.operator", item.operator)),
      item.evidence && h("div", {}, evidence(item.evidence)),
    ),
  );
}

/** @param {Evidence} found */
const evidence = (found) =>
  t("story.evidence", {
    presented: number(found.presented_generation), current: number(found.session_generation),
    age: duration(found.presented_age_seconds), since: duration(found.since_succession_seconds),
    other: from(found.other_address, found.other_device),
  });

/** @param {number} seconds */
function duration(seconds) {
  if (seconds < 120) return t("story.seconds", number(seconds));
  return seconds < 7200 ? t("story.minutes", number(Math.round(seconds / 60))) : t("story.hours", number(Math.round(seconds / 3600)));
}

/** @param {string} address @param {string} device */
const from = (address, device) => [address, deviceName(device)].filter(Boolean).join(" · ");
