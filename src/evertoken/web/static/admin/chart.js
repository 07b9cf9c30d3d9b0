// @ts-check
/** Counts by the hour as stacked bars, and the same as a table for whoever cannot or does not want to look at bars. */

import { h, svg } from "../dom.js";
import { number, t } from "../i18n.js";
import { hourOf } from "./times.js";

const WIDTH = 420;
const HEIGHT = 150;
const LEFT = 34;
const TOP = 14;
const BOTTOM = 20;
const LABEL_EVERY_HOURS = 6;

/** A colour for each series, the same wherever it is drawn: red is what somebody should look into. @type {Record<string, string>} */
const COLOURS = {
  sign_ins: "accent", sign_ins_failed: "warn", rate_limited: "bad",
  early: "quiet", stale: "accent", heal: "warn", replay: "bad",
  signed_out: "accent", revoked: "warn", replayed: "bad", other: "quiet",
};

/**
 * @param {{name: string, since: number[], series: string[], values: Record<string, number>[]}} drawn
 *   `since`: when each hour began, in seconds; `values`: of each hour, by the names of the series
 */
export function chart({ name, since, series, values }) {
  const id = `chart-${name}`;
  const totals = series.map((each) => values.reduce((sum, hour) => sum + hour[each], 0));
  const legend = series.map((each, place) =>
    h("li", {}, h("span", { class: `swatch ${COLOURS[each]}` }), `${t(`series.${each}`)} `, h("span", { class: "number" }, number(totals[place]))),
  );
  const label = `${t(`chart.${name}`)}: ${series.map((each, place) => `${t(`series.${each}`)} ${number(totals[place])}`).join(t("list.comma"))}`;
  return h("section", { class: "card", "aria-labelledby": id },
    h("h3", { id }, t(`chart.${name}`)),
    h("p", { class: "hint" }, t(`chart.${name}Hint`)),
    bars({ label, since, series, values }),
    h("ul", { class: "legend" }, legend),
    h("details", {}, h("summary", {}, t("chart.asTable")), table({ id, since, series, values })),
  );
}

/** @param {{label: string, since: number[], series: string[], values: Record<string, number>[]}} drawn */
function bars({ label, since, series, values }) {
  const sums = values.map((hour) => series.reduce((sum, each) => sum + hour[each], 0));
  const most = roundUp(Math.max(...sums, 1));
  const room = HEIGHT - TOP - BOTTOM;
  const step = (WIDTH - LEFT) / values.length;
  const y = (/** @type {number} */ value) => HEIGHT - BOTTOM - (value / most) * room;
  const lines = [0, most / 2, most].filter(Number.isInteger).map((value) => [
    svg("line", { class: "grid-line", x1: LEFT, x2: WIDTH, y1: y(value), y2: y(value) }),
    svg("text", { x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, number(value)),
  ]);
  const columns = values.map((hour, place) => {
    const x = LEFT + place * step;
    let below = 0;
    const stacked = series.map((each) => {
      const from = below;
      below += hour[each];
      return hour[each] > 0 && svg("rect", {
        class: COLOURS[each], x: x + step * 0.12, width: step * 0.76, y: y(below), height: y(from) - y(below),
      });
    });
    const told = series.filter((each) => hour[each] > 0).map((each) => `${t(`series.${each}`)} ${number(hour[each])}`);
    const tip = `${hourOf(since[place])}: ${told.join(t("list.comma")) || t("chart.nothing")}`;
    return svg("g", {},
      svg("title", {}, tip),
      svg("rect", { class: "touch", x, width: step, y: TOP, height: room }),
      stacked,
      isLabelled(since[place]) && svg("text", { x: x + step / 2, y: HEIGHT - 5, "text-anchor": "middle" }, hourOf(since[place])),
    );
  });
  return svg("svg", { class: "chart", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": label }, lines.flat(), columns);
}

/** @param {{id: string, since: number[], series: string[], values: Record<string, number>[]}} drawn */
function table({ id, since, series, values }) {
  const head = series.map((each) => h("th", { scope: "col", class: "number" }, t(`series.${each}`)));
  const rows = values.map((hour, place) =>
    h("tr", {},
      h("th", { scope: "row" }, hourOf(since[place])),
      series.map((each) => h("td", { class: "number" }, number(hour[each]))),
    ),
  );
  return h("div", { class: "table", tabindex: 0, role: "group", "aria-labelledby": id },
    h("table", { class: "small", "aria-labelledby": id },
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, t("chart.hour")), head)), h("tbody", {}, rows.reverse()),
    ),
  );
}

/** @param {number} at */
const isLabelled = (at) => new Date(at * 1000).getHours() % LABEL_EVERY_HOURS === 0;

/** The next of 2, 4, 10, 20, 40, 100 ...: the half of it is a whole number too. @param {number} value */
function roundUp(value) {
  for (let size = 1; ; size *= 10) {
    const fits = [2, 4, 10].find((each) => each * size >= value);
    if (fits) return fits * size;
  }
}
