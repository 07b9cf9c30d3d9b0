// @ts-check
/** A labelled input whose hint and error are told together with it. */

import { h } from "../dom.js";

let count = 0;

/**
 * @param {{label: string, name: string, type?: string, autocomplete?: string, value?: string, hint?: string}} members
 */
export function field({ label, name, type = "text", autocomplete, value = "", hint }) {
  const id = `field-${(count += 1)}`;
  const error = h("p", { class: "field-error", id: `${id}-error`, role: "alert" });
  const told = hint ? `${id}-hint ${id}-error` : `${id}-error`;
  const isName = name === "username";
  const input = h("input", {
    id, name, type, autocomplete, value, "aria-describedby": told, spellcheck: "false",
    autocapitalize: isName ? "none" : null,
  });
  const element = h("div", { class: "field" },
    h("label", { for: id }, label),
    hint && h("p", { class: "hint", id: `${id}-hint` }, hint),
    input, error,
  );
  /** Say what is wrong with it, or with "" that nothing is. @param {string} text @param {string} [lang] of the text */
  const refuse = (text, lang) => {
    error.textContent = text;
    if (lang) error.lang = lang;
    else error.removeAttribute("lang");
    input.setAttribute("aria-invalid", String(text !== ""));
    if (text) input.focus();
  };
  return { element, input, refuse };
}
