// @ts-check
/** The form for user name and password; every page shows it while nobody is signed in. */

import { SessionError } from "../client.js";
import { h } from "../dom.js";
import { has, t } from "../i18n.js";
import { explain } from "./calls.js";
import { field } from "./field.js";

/**
 * @param {typeof import("../shell.js").session} session
 * @param {import("../shell.js").Guest} guest what stands in it already
 * @param {() => unknown} signedIn
 */
export function signInForm(session, { username = "", password = "", hint }, signedIn) {
  const name = field({ label: t("signIn.username"), name: "username", autocomplete: "username", value: username });
  const secret = field({
    label: t("signIn.password"), name: "password", type: "password", autocomplete: "current-password", value: password,
  });
  const submit = h("button", { class: "primary" }, t("signIn.submit"));
  const wrong = h("p", { class: "field-error", role: "alert" });

  /** @param {SubmitEvent} event */
  const send = async (event) => {
    event.preventDefault();
    if (submit.disabled) return;
    wrong.textContent = "";
    if (!name.input.value || !secret.input.value) {
      wrong.textContent = t("signIn.missing");
      return (name.input.value ? secret : name).input.focus();
    }
    submit.disabled = true;
    submit.textContent = t("signIn.busy");
    try {
      await session.login({ username: name.input.value, password: secret.input.value });
      await signedIn();
    } catch (error) {
      wrong.textContent = refusal(error);
      secret.input.focus();
      secret.input.select();
    } finally {
      submit.disabled = false;
      submit.textContent = t("signIn.submit");
    }
  };
  return h("form", { class: "card narrow", novalidate: true, "aria-labelledby": "sign-in", onsubmit: send },
    h("h1", { id: "sign-in" }, t("signIn.title")),
    hint && h("p", { class: "quiet" }, t(hint)),
    name.element, secret.element, wrong, submit,
  );
}

/** @param {unknown} error */
function refusal(error) {
  if (!(error instanceof SessionError) || error.code !== "sign_in_refused") return explain(error);
  const code = String(/** @type {any} */ (error).reason);
  return has(`signIn.${code}`) ? t(`signIn.${code}`) : t("signIn.other", code);
}
