// @ts-check
/** How many tokens are out there, and whose; and what has happened within a day. Kept up to date while one looks. */

import { h, replace } from "../dom.js";
import { clockTime, number, t } from "../i18n.js";
import { keepUpToDate } from "../shell/watching.js";
import { chart } from "./chart.js";

/**
 * @typedef {{since: number, sign_ins: number, sign_ins_failed: number, rate_limited: number, early: number,
 *   stale: number, heal: number, replay: number, ended: Record<string, number>}} Hour
 * @typedef {{at: number, users?: {total: number, disabled: number},
 *   sessions: {live: number, ended: Record<string, number>},
 *   access_tokens: {sessions: number, users: number, lifetime_seconds: number, revoked: number},
 *   top_users: {user_id: string, username: string, live_sessions: number, access_tokens: number}[],
 *   hours: Hour[], refreshes_since_start: Record<string, number>}} Overview
 */

const EVERY_MS = 10_000;
const OUTCOMES = ["advance", "reissue", "early", "stale", "heal", "replay", "gone"];
/** Reasons that have a colour of their own in the chart; the others are one. */
const REASONS = ["signed_out", "revoked", "replayed"];
/** How many are named in the first line. */
const NAMED = 5;

/**
 * @param {import("../shell.js").Page} page
 * @param {{onlyOf: (user: {id: string, username: string}) => Promise<void>}} options
 */
export function overview(page, { onlyOf }) {
  const lead = h("p", { class: "lead" }, t("shell.loading"));
  const more = h("p", { class: "quiet" });
  const figures = h("dl", { class: "figures" });
  const charts = h("div", { class: "charts" });
  const asOf = h("p", { class: "quiet" });

  /** @param {Overview} told */
  const show = (told) => {
    const focused = document.activeElement instanceof HTMLElement ? document.activeElement.dataset.user : undefined;
    tellLead(told);
    tellFigures(told);
    tellCharts(told);
    asOf.textContent = t("admin.asOf", clockTime(told.at));
    if (focused) /** @type {HTMLElement | null} */ (lead.querySelector(`[data-user="${CSS.escape(focused)}"]`))?.focus();
  };

  /** @param {Overview} told */
  const tellLead = ({ access_tokens: tokens, top_users: top }) => {
    const holders = top.filter((user) => user.access_tokens > 0).slice(0, NAMED);
    const named = holders.flatMap(({ user_id: id, username, access_tokens: count }, place) => [
      place > 0 && t("list.comma"),
      h("span", { class: "together" },
        h("button", {
          type: "button", class: "link", "data-user": id, onclick: () => page.attempt(() => onlyOf({ id, username })),
          "aria-label": t("admin.holderLabel", username, number(count)),
        }, username),
        ` ${number(count)}`,
      ),
    ]);
    const others = tokens.users - holders.length;
    replace(lead,
      h("strong", {}, t("admin.lead", tokens.sessions, number(tokens.sessions))), " ",
      t("admin.whose", tokens.users, number(tokens.users)), ...named,
      others > 0 ? t("admin.others", others, number(others)) : "", t("list.stop"),
    );
    more.textContent = [
      t("admin.lifetime", minutes(tokens.lifetime_seconds)),
      tokens.revoked > 0 ? t("admin.refused", tokens.revoked, number(tokens.revoked)) : "",
    ].join(" ");
  };

  /** @param {Overview} told */
  const tellFigures = ({ users, sessions }) => {
    const over = Object.values(sessions.ended).reduce((sum, count) => sum + count, 0);
    /** @type {[string, number, string[]][]} */
    const shown = [
      ["admin.liveSessions", sessions.live, []],
      ["admin.overSessions", over, reasons(sessions.ended)],
    ];
    if (users) shown.push(["admin.usersCount", users.total, users.disabled > 0 ? [t("admin.disabledCount", number(users.disabled))] : []]);
    replace(figures, shown.map(([name, value, notes]) =>
      h("div", { class: "card" }, h("dt", {}, t(name)), h("dd", {}, h("span", { class: "big number" }, number(value)),
        notes.map((note) => h("span", { class: "note quiet" }, note)))),
    ));
  };

  /** @param {Overview} told */
  const tellCharts = ({ hours, refreshes_since_start: refreshes }) => {
    const open = [...charts.querySelectorAll("details")].map((details) => details.open);
    const focused = [...charts.querySelectorAll("summary")].findIndex((each) => each === document.activeElement);
    const ended = hours.map((hour) => {
      const known = Object.fromEntries(REASONS.map((reason) => [reason, hour.ended[reason] ?? 0]));
      const all = Object.values(hour.ended).reduce((sum, count) => sum + count, 0);
      return { ...known, other: all - Object.values(known).reduce((sum, count) => sum + count, 0) };
    });
    const since = hours.map((hour) => hour.since);
    replace(charts,
      chart({ name: "signIns", since, series: ["sign_ins", "sign_ins_failed", "rate_limited"], values: hours.map(counts) }),
      chart({ name: "refreshes", since, series: ["early", "stale", "heal", "replay"], values: hours.map(counts) }),
      chart({ name: "ended", since, series: [...REASONS, "other"], values: ended }),
      outcomes(refreshes),
    );
    charts.querySelectorAll("details").forEach((details, place) => (details.open = open[place] ?? false));
    charts.querySelectorAll("summary")[focused]?.focus();
  };

  const refresh = async () => {
    const told = await page.call("/admin/overview");
    if (!page.signal.aborted) show(told);
  };

  keepUpToDate(page, EVERY_MS, refresh);
  return { elements: [lead, more, figures, h("h2", {}, t("admin.day")), charts, asOf], refresh };
}

/** @param {Hour} hour @returns {Record<string, number>} */
const counts = ({ ended: _ended, since: _since, ...rest }) => rest;

/** @param {Record<string, number>} ended */
const reasons = (ended) =>
  Object.entries(ended)
    .sort(([, a], [, b]) => b - a)
    .map(([reason, count]) => `${t(`state.${reason}`)} ${number(count)}`);

/** @param {number} seconds */
const minutes = (seconds) =>
  seconds < 120 ? t("story.seconds", number(seconds)) : t("story.minutes", number(Math.round(seconds / 60)));

/** Refreshes of every outcome since the server started: ordinary ones leave no event. @param {Record<string, number>} counted */
function outcomes(counted) {
  const rows = OUTCOMES.map((outcome) =>
    h("tr", {},
      h("th", { scope: "row" }, t(`outcome.${outcome}`)),
      h("td", { class: "number" }, number(counted[outcome] ?? 0)),
    ),
  );
  return h("section", { class: "card", "aria-labelledby": "outcomes" },
    h("h3", { id: "outcomes" }, t("chart.outcomes")),
    h("p", { class: "hint" }, t("chart.outcomesHint")),
    h("table", { class: "small", "aria-labelledby": "outcomes" }, h("tbody", {}, rows)),
  );
}
