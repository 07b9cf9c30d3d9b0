// @ts-check
/** The form that changes the password. The server's rules are told in its words, at the field that breaks them. */

import { h } from "../dom.js";
import { t } from "../i18n.js";
import { about } from "../shell/about.js";
import { Problem } from "../shell/calls.js";
import { field } from "../shell/field.js";

/**
 * @param {import("../shell.js").Page} page
 * @param {() => Promise<void>} changed
 */
export function passwordForm(page, changed) {
  const title = h("h2", { id: "password" }, t("password.title"));
  if (about.passwordLength === null) {
    return h("section", { class: "card" }, title, h("p", { class: "quiet" }, t("password.elsewhere")));
  }
  const current = field({
    label: t("password.current"), name: "current", type: "password", autocomplete: "current-password",
  });
  const next = field({
    label: t("password.new"), name: "new", type: "password", autocomplete: "new-password",
    hint: t("password.hint", about.passwordLength),
  });
  const show = h("input", { type: "checkbox", id: "show-passwords" });
  show.addEventListener("change", () => {
    for (const { input } of [current, next]) input.type = show.checked ? "text" : "password";
  });
  const submit = h("button", { class: "primary" }, t("password.submit"));

  const change = async () => {
    const body = { current_password: current.input.value, new_password: next.input.value };
    try {
      await page.call("/auth/password", { method: "POST", body });
    } catch (error) {
      const told = error instanceof Problem ? refusal(error) : null;
      if (!told) throw error;
      return (told.isOfNew ? next : current).refuse(told.text, told.lang);
    }
    form.reset();
    for (const { input } of [current, next]) input.type = "password";
    page.say(t("password.changed"));
    await changed();
  };

  /** @param {SubmitEvent} event */
  const send = async (event) => {
    event.preventDefault();
    if (submit.disabled) return;
    // In this order, so that the focus ends at the first that is empty.
    for (const each of [next, current]) each.refuse(each.input.value ? "" : t("password.missing"));
    if (!current.input.value || !next.input.value) return;
    submit.disabled = true;
    submit.textContent = t("password.busy");
    await page.attempt(change);
    submit.disabled = false;
    submit.textContent = t("password.submit");
  };

  /** @type {HTMLFormElement} */
  const form = h("form", { class: "narrow", novalidate: true, "aria-labelledby": "password", onsubmit: send },
    // For password managers, which ask whose password it is.
    h("input", { type: "text", name: "username", autocomplete: "username", value: page.user.name, hidden: true }),
    current.element, next.element,
    h("p", { class: "check" }, show, h("label", { for: "show-passwords" }, t("password.show"))),
    h("p", { class: "hint" }, t("password.effect")),
    submit,
  );
  return h("section", { class: "card" }, title, form);
}

/**
 * What the server's refusal says, and of which field; null where it says nothing of either.
 * @param {Problem} problem
 * @returns {?{isOfNew: boolean, text: string, lang?: string}}
 */
function refusal({ code, status, detail, retryAfterSeconds }) {
  if (code === "password_refused") return { isOfNew: true, text: detail, lang: "en" };
  if (code === "bad_credentials") return { isOfNew: false, text: t("password.wrong") };
  if (status === 429) return { isOfNew: false, text: t("password.wait", retryAfterSeconds ?? 60) };
  return null;
}
