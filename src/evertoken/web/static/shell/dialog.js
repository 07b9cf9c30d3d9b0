// @ts-check
/** A question before something that cannot be undone. */

import { h } from "../dom.js";
import { t } from "../i18n.js";

/**
 * Ask; Escape and Cancel are no. The focus goes back to where it was.
 * @param {{title: string, text: string, action?: string, isDanger?: boolean, signal?: AbortSignal}} question
 * @returns {Promise<boolean>}
 */
export function confirm({ title, text, action = t("dialog.ok"), isDanger = false, signal }) {
  const before = document.activeElement;
  /** @type {HTMLDialogElement} */
  const dialog = h("dialog", { "aria-labelledby": "question", "aria-describedby": "question-text" },
    h("h2", { id: "question" }, title),
    h("p", { id: "question-text" }, text),
    h("div", { class: "row end" },
      h("button", { type: "button", onclick: () => dialog.close() }, t("dialog.cancel")),
      h("button", { type: "button", class: isDanger ? "danger" : "primary", onclick: () => dialog.close("yes") }, action),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    const cancel = () => dialog.close();
    signal?.addEventListener("abort", cancel, { once: true });
    dialog.addEventListener("close", () => {
      signal?.removeEventListener("abort", cancel);
      dialog.remove();
      if (before instanceof HTMLElement && before.isConnected) before.focus();
      resolve(dialog.returnValue === "yes");
    });
  });
}
