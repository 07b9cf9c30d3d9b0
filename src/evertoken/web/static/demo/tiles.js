// @ts-check
/** The dashboard: six tiles, each of which asks for its own figures. */

import { h, svg } from "../dom.js";
import { clockTime, number, t } from "../i18n.js";

/** @typedef {{element: HTMLElement, show: (figures: any) => void, fail: (isOffline: boolean) => void}} Tile */

/** The tiles, and how often each asks. They differ, as they would on a wall: requests come at any moment. */
export const PERIODS_MS = { orders: 2000, queue: 2300, temperature: 2900, visitors: 2600, sales: 3000, clock: 2000 };

/** @typedef {keyof typeof PERIODS_MS} Name */

/** @param {Name} name @returns {Tile} */
export function tile(name) {
  const state = h("p", { class: "state" });
  const { element: body, show } = BODIES[name]();
  const element = h("section", { class: "tile", "aria-label": t(`demo.tile.${name}`), "data-tile": name },
    h("h2", {}, t(`demo.tile.${name}`)), body, state,
  );
  return {
    element,
    show: (figures) => {
      element.classList.remove("old");
      state.textContent = "";
      show(figures);
    },
    fail: (isOffline) => {
      element.classList.add("old");
      state.textContent = t(isOffline ? "demo.tile.offline" : "demo.tile.failed");
    },
  };
}

/** @typedef {{element: Element, show: (figures: any) => void}} Body */

/** @type {Record<Name, () => Body>} */
const BODIES = {
  orders: () => figure("demo.unit.orders", ({ per_minute }) => number(per_minute), ({ history }) => history),
  queue: () => figure("demo.unit.queue", ({ length }) => number(length), ({ history }) => history),
  temperature: () => figure("demo.unit.celsius", ({ celsius }) => celsius.toFixed(1), ({ history }) => history),
  visitors: () => {
    const element = h("ul", { class: "visitors" });
    const show = (/** @type {any} */ { visitors }) =>
      element.replaceChildren(...visitors.slice(0, 3).map((/** @type {any} */ { name, page, seconds_ago }) =>
        h("li", {}, h("strong", {}, name), ` ${page} `, h("span", { class: "quiet number" }, t("demo.unit.seconds", seconds_ago)))));
    return { element, show };
  },
  sales: () => {
    const element = h("div", { class: "figure" });
    const show = (/** @type {any} */ { minutes }) =>
      element.replaceChildren(
        h("p", { class: "value number" }, number(minutes.at(-1)), h("span", { class: "unit" }, t("demo.unit.sales"))),
        columns(minutes),
      );
    return { element, show };
  },
  clock: () => {
    const value = h("p", { class: "value number" });
    const show = (/** @type {any} */ { now_ms }) => void (value.textContent = clockTime(now_ms / 1000));
    return { element: h("div", { class: "figure" }, value, h("p", { class: "unit" }, t("demo.unit.clock"))), show };
  },
};

/**
 * @param {string} unit
 * @param {(figures: any) => string} value
 * @param {(figures: any) => number[]} history
 * @returns {Body}
 */
function figure(unit, value, history) {
  const element = h("div", { class: "figure" });
  const show = (/** @type {any} */ figures) =>
    element.replaceChildren(
      h("p", { class: "value number" }, value(figures), h("span", { class: "unit" }, t(unit))),
      curve(history(figures)),
    );
  return { element, show };
}

/** The number beside it is told; the curve is for the eye. @param {number[]} values */
function curve(values) {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const points = values.map((value, index) => {
    const y = 30 - ((value - least) / (most - least || 1)) * 26;
    return `${((index / (values.length - 1)) * 120).toFixed(1)},${y.toFixed(1)}`;
  });
  return svg("svg", { class: "spark", viewBox: "0 0 120 34", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("polyline", { points: points.join(" ") }),
  );
}

/** @param {number[]} values */
function columns(values) {
  const most = Math.max(...values, 1);
  const bars = values.map((value, index) => {
    const height = (value / most) * 32;
    return svg("rect", { x: index * 10 + 1, y: 34 - height, width: 8, height });
  });
  return svg("svg", { class: "spark", viewBox: "0 0 120 34", preserveAspectRatio: "none", "aria-hidden": "true" }, bars);
}
