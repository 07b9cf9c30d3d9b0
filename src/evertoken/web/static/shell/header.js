// @ts-check
/** The header: where one is, where one can go, who is signed in, language and theme. */

import { h } from "../dom.js";
import { remember, speak, t } from "../i18n.js";
import { about } from "./about.js";

const NAMES = { en: "English", zh: "中文" };

/**
 * @param {object} shown
 * @param {string} shown.name the page
 * @param {?import("../shell.js").User} shown.user
 * @param {import("../i18n.js").Language} shown.language
 * @param {() => unknown} shown.signOut
 * @param {() => unknown} shown.switched to another language
 */
export function header({ name, user, language, signOut, switched }) {
  const pages = about.pages.filter((page) => page !== "admin" || user?.roles.includes("admin"));
  const links = pages.map((page) =>
    h("li", {}, h("a", { href: `/${page}`, "aria-current": page === name ? "page" : null }, t(`nav.${page}`))),
  );
  return h("header", {},
    h("a", { class: "brand", href: `/${pages[0]}` }, about.service),
    h("nav", { "aria-label": t("nav.label") }, h("ul", {}, links)),
    h("div", { class: "tools" },
      user && h("span", { class: "who" }, t("shell.signedInAs", user.name)),
      user && h("button", { type: "button", class: "sign-out", onclick: signOut }, t("shell.signOut")),
      languages(language, switched),
      theme(),
    ),
  );
}

/** @param {import("../i18n.js").Language} language @param {() => unknown} switched */
function languages(language, switched) {
  const options = Object.entries(NAMES).map(([value, label]) =>
    h("option", { value, lang: value, selected: value === language }, label),
  );
  const select = h("select", { "aria-label": t("shell.language") }, options);
  select.addEventListener("change", () => {
    speak(select.value === "zh" ? "zh" : "en");
    switched();
  });
  return select;
}

const root = document.documentElement;
const preference = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : preference.matches);
const tellTheme = () => document.querySelector("header .theme")?.setAttribute("aria-pressed", String(isDark()));
preference.addEventListener("change", tellTheme);

function theme() {
  const change = () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    remember("evertoken.theme", root.dataset.theme);
    tellTheme();
  };
  return h("button", { type: "button", class: "theme", "aria-pressed": String(isDark()), onclick: change }, t("shell.dark"));
}
