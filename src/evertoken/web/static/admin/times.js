// @ts-check
/** Instants as elements, short to read and whole in their tooltip; and the hours of a chart. */

import { h } from "../dom.js";
import { ago, dateTime, language } from "../i18n.js";

/** @param {number} at seconds since the epoch @param {string} text */
const time = (at, text) => h("time", { datetime: new Date(at * 1000).toISOString(), title: dateTime(at) }, text);

/** @param {number} at */
export const atDate = (at) => time(at, dateTime(at));

/** @param {number} at */
export const atAgo = (at) => time(at, ago(at));

/** To the second, for a story in which seconds matter. @param {number} at */
export const toTheSecond = (at) => time(at, format({ dateStyle: "medium", timeStyle: "medium" }, at));

/** An hour of the day, of this place; in some countries it begins at half past. @param {number} at */
export const hourOf = (at) => format({ hour: "2-digit", minute: "2-digit" }, at);

/** @param {Intl.DateTimeFormatOptions} options @param {number} at */
const format = (options, at) =>
  new Intl.DateTimeFormat(language() === "zh" ? "zh-CN" : "en-GB", options).format(at * 1000);
