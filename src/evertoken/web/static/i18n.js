// @ts-check
/**
 * The pages' words, in English and Chinese, and dates and numbers as people of either write them.
 *
 * A page keeps its words in `<page>/texts/en.js` (exports `en`) and `<page>/texts/zh.js` (exports `zh`): flat objects
 * with the same keys, each a string or a function that makes one. `startPage({ texts: { en, zh } })` adds them to the
 * shell's; `t("sessions.title")`, `t("sessions.many", 3)` give the words. A key that is missing throws.
 */

/** @typedef {string | ((...values: any[]) => string)} Text */
/** @typedef {Record<string, Text>} Texts */
/** @typedef {"en" | "zh"} Language */

/** @type {Record<Language, Texts>} */
const known = { en: {}, zh: {} };

/** @returns {Language} as theme.js found it, or as it was switched to */
export const language = () => (document.documentElement.lang === "zh" ? "zh" : "en");

/** @param {Language} chosen */
export function speak(chosen) {
  document.documentElement.lang = chosen;
  remember("evertoken.language", chosen);
}

/** @param {Record<Language, Texts>} texts */
export function addTexts({ en, zh }) {
  Object.assign(known.en, en);
  Object.assign(known.zh, zh);
}

/** Whether there are words for this. @param {string} key */
export const has = (key) => key in known.en;

/**
 * The words for a key, in the language of the page.
 * @param {string} key
 * @param {...unknown} values for a text that is a function
 * @throws {Error} there is no such text
 */
export function t(key, ...values) {
  const text = known[language()][key];
  if (text === undefined) throw new Error(`no text "${key}" in ${language()}`);
  return typeof text === "function" ? text(...values) : text;
}

const locale = () => (language() === "zh" ? "zh-CN" : "en-GB");

/** @param {number} value */
export const number = (value) => new Intl.NumberFormat(locale()).format(value);

/** An instant, to the minute. @param {number} at seconds since the epoch */
export const dateTime = (at) =>
  new Intl.DateTimeFormat(locale(), { dateStyle: "medium", timeStyle: "short" }).format(at * 1000);

/** An instant of today, to the second. @param {number} at seconds since the epoch */
export const clockTime = (at) => new Intl.DateTimeFormat(locale(), { timeStyle: "medium" }).format(at * 1000);

/** @type {[Intl.RelativeTimeFormatUnit, number][]} */
const UNITS = [["day", 86_400], ["hour", 3600], ["minute", 60], ["second", 1]];

/**
 * How long ago, or how long until: "3 minutes ago", "in 2 days".
 * @param {number} at seconds since the epoch
 * @param {number} [now] likewise
 */
export function ago(at, now = Date.now() / 1000) {
  const seconds = at - now;
  const [unit, size] = UNITS.find(([, least]) => Math.abs(seconds) >= least) ?? ["second", 1];
  return new Intl.RelativeTimeFormat(locale(), { numeric: "auto" }).format(Math.trunc(seconds / size), unit);
}

/**
 * Keep a choice for the next visit.
 * @param {string} name
 * @param {string} value
 */
export function remember(name, value) {
  try {
    localStorage.setItem(name, value);
  } catch (error) {
    console.info("not remembered, for storage is blocked:", error);
  }
}
