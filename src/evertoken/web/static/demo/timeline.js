// @ts-check
/** The timeline: a lane for each tab, a row for each kind of thing that happens, and a line through all for a refresh. */

import { svg } from "../dom.js";
import { t } from "../i18n.js";

/** @typedef {import("./log.js").Log} Log */
/** @typedef {{from: number, to: number, count: number, isBad: boolean}} Cluster */
/** @typedef {{from: number, to?: number, isBad?: boolean}} Point */

export const WINDOW_MS = 30_000;
const GUTTER = 128;
const ROW = 22;
const TITLE = 24;
/** Above the lanes, for what has happened to all; and below, for the time. */
const AXIS = 24;
const FOOT = 20;
const LANE_GAP = 10;
/** What lies closer together than this is drawn as one, with its number. */
const TOGETHER_MS = 700;
/** The rows of a lane, from cause to effect. */
const ROWS = /** @type {const} */ (["requests", "refused", "refresh", "waited", "again"]);
const LANE = TITLE + ROWS.length * ROW;
/** Marks that stand above all lanes, for they are of the whole session or line. */
const SHOWN_MARKS = new Set([
  "expired", "offline", "online", "signed_out", "stolen", "thief_granted", "ended_elsewhere", "lose",
]);

export class Timeline {
  element = svg("svg", { class: "timeline", role: "img", "aria-label": "" });

  /**
   * Draw everything anew.
   * @param {Log} log
   * @param {number[]} lanes numbers of the tabs to show
   * @param {number} me this tab's
   * @param {number} now
   */
  draw(log, lanes, me, now) {
    const width = Math.max(this.element.parentElement?.clientWidth ?? 0, 280);
    const height = AXIS + lanes.length * (LANE + LANE_GAP) - LANE_GAP + FOOT;
    const x = (/** @type {number} */ at) => GUTTER + ((at - now + WINDOW_MS) / WINDOW_MS) * (width - GUTTER - 12);
    const scene = { log, now, x, width, height, from: now - WINDOW_MS };
    this.element.setAttribute("width", String(width));
    this.element.setAttribute("height", String(height));
    this.element.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.element.setAttribute("aria-label", t("demo.timeline.picture"));
    this.element.replaceChildren(
      ...lanes.map((_, index) =>
        svg("rect", { class: "lane", x: 0, y: AXIS + index * (LANE + LANE_GAP), width, height: LANE, rx: 6 }),
      ),
      ...axis(scene),
      ...lanes.flatMap((tab, index) => lane(scene, tab, AXIS + index * (LANE + LANE_GAP), tab === me)),
      ...refreshLines(scene),
      ...marks(scene),
    );
  }
}

/** @typedef {{log: Log, now: number, x: (at: number) => number, width: number, height: number, from: number}} Scene */

/** @param {Scene} scene */
function axis({ now, from, x, height }) {
  const ticks = [];
  const step = 5000;
  for (let at = Math.ceil(from / step) * step; at <= now; at += step) {
    ticks.push(svg("line", { class: "tick", x1: x(at), x2: x(at), y1: AXIS, y2: height - FOOT + 4 }));
  }
  return [
    ...ticks,
    svg("text", { class: "small", x: x(from), y: height - 4 }, t("demo.timeline.ago", WINDOW_MS / 1000)),
    svg("text", { class: "small end", x: x(now), y: height - 4 }, t("demo.timeline.now")),
  ];
}

/** @param {Scene} scene @param {number} tab @param {number} top @param {boolean} isMine */
function lane(scene, tab, top, isMine) {
  const points = pointsOf(scene, tab);
  return [
    ...offlineBands(scene, top),
    svg("text", { class: "name", x: 10, y: top + 17 }, t(isMine ? "demo.timeline.thisTab" : "demo.timeline.tab", tab)),
    ...ROWS.flatMap((row, index) => {
      const y = top + TITLE + index * ROW + ROW / 2 - 2;
      const label = svg("text", { class: "small", x: 28, y: y + 4 }, t(`demo.row.${row}`));
      const drawn = row === "requests" ? bars(scene, points[row], y) : pills(scene, points[row], y, row);
      return [key(row, 16, y), label, ...drawn];
    }),
  ];
}

/** @param {Scene} scene @param {number} tab @returns {Record<typeof ROWS[number], Point[]>} */
function pointsOf({ log, from, now }, tab) {
  const calls = [...log.calls.values()].filter((call) => call.tab === tab);
  const sent = (/** @type {number} */ index) =>
    calls.flatMap((call) => (call.attempts[index] ? [{ from: call.attempts[index].at, isBad: isBad(call, index) }] : []));
  const refused = calls.flatMap(({ attempts }) =>
    attempts.flatMap(({ status, answeredAt }) => (status === 401 && answeredAt !== null ? [{ from: answeredAt }] : [])),
  );
  const refreshes = log.refreshes.filter((refresh) => refresh.tab === tab);
  /** @type {Record<typeof ROWS[number], Point[]>} */
  const points = {
    requests: sent(0),
    refused,
    refresh: refreshes.map(({ at, endedAt, status }) => ({
      from: at, to: endedAt ?? now, isBad: endedAt !== null && status !== 200,
    })),
    waited: log.waits().filter((wait) => wait.tab === tab).map((wait) => ({ from: wait.from, to: wait.to ?? now })),
    again: sent(1),
  };
  for (const row of ROWS) {
    points[row] = points[row].filter((point) => (point.to ?? point.from) >= from);
  }
  return points;
}

/** @param {import("./log.js").Call} call @param {number} index of its attempt */
const isBad = ({ attempts, outcome }, index) =>
  (outcome === "failed" || outcome === "offline") && index === attempts.length - 1;

/** The requests, as bars whose height is their number. @param {Scene} scene @param {Point[]} points @param {number} y */
function bars({ x, from }, points, y) {
  const size = 250;
  /** @type {Map<number, Point[]>} */
  const bins = new Map();
  for (const point of points) {
    const bin = Math.floor(point.from / size);
    bins.set(bin, [...(bins.get(bin) ?? []), point]);
  }
  return [...bins].flatMap(([bin, inside]) => {
    const left = x(Math.max(bin * size, from));
    const height = Math.min(5 + 3 * Math.log2(inside.length), ROW - 4);
    const bottom = y + ROW / 2 - 3;
    const kind = inside.some((point) => point.isBad) ? "bar bad" : "bar";
    /** @type {SVGElement[]} */
    const drawn = [svg("rect", { class: kind, x: left, y: bottom - height, width: 5, height, rx: 1 })];
    if (inside.length >= 10) drawn.push(svg("text", { class: "count", x: left + 9, y: y + 4 }, inside.length));
    return drawn;
  });
}

/**
 * What is rare, as pills with a number; what lasts is as long as it lasts.
 * @param {Scene} scene
 * @param {Point[]} points
 * @param {number} y
 * @param {string} row
 */
function pills({ x, from }, points, y, row) {
  let lastRight = -Infinity;
  return clusters(points).flatMap(({ from: begin, to, count, isBad: wasBad }) => {
    const text = row === "refresh" && wasBad ? `${count} ✕` : String(count);
    const needed = 14 + 7 * text.length;
    const at = x(Math.max(begin, from));
    const left = Math.max(at - 4, lastRight + 2);
    const width = Math.max(needed, x(to) - at);
    lastRight = left + width;
    return [
      svg("rect", { class: `pill ${row}${wasBad ? " bad" : ""}`, x: left, y: y - 8, width, height: 16, rx: 8 }),
      svg("text", { class: `pill-text ${row}${wasBad ? " bad" : ""}`, x: left + width / 2, y: y + 4 }, text),
    ];
  });
}

/** @param {Point[]} points @returns {Cluster[]} */
function clusters(points) {
  /** @type {Cluster[]} */
  const found = [];
  for (const { from, to = from, isBad: wasBad = false } of [...points].sort((one, other) => one.from - other.from)) {
    const last = found.at(-1);
    if (last && from - last.from < TOGETHER_MS && last.isBad === wasBad) {
      last.count += 1;
      last.to = Math.max(last.to, to);
    } else {
      found.push({ from, to, count: 1, isBad: wasBad });
    }
  }
  return found;
}

/** The sign that a row's things are drawn with. @param {string} row @param {number} x @param {number} y */
const key = (row, x, y) =>
  row === "requests"
    ? svg("rect", { class: "bar", x: x - 2, y: y - 5, width: 5, height: 11, rx: 1 })
    : svg("rect", { class: `pill ${row}`, x: x - 5, y: y - 5, width: 11, height: 11, rx: 5.5 });

/** A refresh concerns every tab: a line through all lanes. @param {Scene} scene */
function refreshLines({ log, x, from, height }) {
  return log.refreshes
    .filter((refresh) => refresh.at >= from)
    .map(({ at }) => svg("line", { class: "refresh-line", x1: x(at), x2: x(at), y1: AXIS - 4, y2: height - FOOT + 4 }));
}

/** What concerns all tabs, above the lanes. @param {Scene} scene */
function marks({ log, x, from, width, height }) {
  let lastRight = -Infinity;
  return log.marks
    .filter(({ mark, at }) => SHOWN_MARKS.has(mark) && at >= from)
    .flatMap(({ mark, at }) => {
      const place = x(at);
      const line = svg("line", { class: `mark-line ${mark}`, x1: place, x2: place, y1: 18, y2: height - FOOT + 4 });
      const words = t(`demo.mark.${mark}`);
      const room = widthOf(words);
      const left = Math.min(place - 3, width - room);
      // Of words that would stand upon each other, as when all tabs are signed out, the first are there.
      if (left < lastRight) return [line];
      lastRight = left + room + 6;
      return [line, svg("text", { class: `mark ${mark}`, x: left, y: 14 }, words)];
    });
}

/** About how wide a text is, in pixels. @param {string} text */
const widthOf = (text) => Array.from(text).reduce((sum, letter) => sum + (letter > "\u2e80" ? 13 : 7.6), 0);

/** While the line is down. @param {Scene} scene @param {number} top */
function offlineBands({ log, x, from, now }, top) {
  const switches = log.marks.filter(({ mark }) => mark === "offline" || mark === "online");
  return switches.flatMap(({ mark, at }, index) => {
    if (mark !== "offline") return [];
    const [left, right] = [x(Math.max(at, from)), x(switches[index + 1]?.at ?? now)];
    if (right <= GUTTER) return [];
    return [svg("rect", { class: "down", x: left, y: top, width: Math.max(right - left, 0), height: LANE })];
  });
}
