// @ts-check
/** Signing keys: what each does now, and a new one. */

import { h, replace } from "../dom.js";
import { dateTime, t } from "../i18n.js";
import { confirm } from "../shell/dialog.js";
import { rowOf } from "./list.js";
import { atDate } from "./times.js";

/** @typedef {{kid: string, algorithm: string, state: string, signs_from?: number, verifies_until?: number}} Key */

const COLUMNS = ["kid", "algorithm", "state", "from", "until"];
const KINDS = { signing: "good", announced: "warn", verifying: "", retired: "" };

/** @param {import("../shell.js").Page} page */
export function keys(page) {
  const title = h("h2", { id: "keys", tabindex: -1 }, t("admin.keys"));
  const body = h("tbody", { role: "rowgroup" });
  const rotate = h("button", { type: "button" }, t("admin.keys.rotate"));

  const refresh = async () => {
    /** @type {{keys: Key[]}} */
    const answer = await page.call("/admin/keys");
    if (page.signal.aborted) return;
    const kind = (/** @type {Key} */ { state }) => /** @type {Record<string, string>} */ (KINDS)[state] ?? "";
    replace(body, answer.keys.toReversed().map((key) =>
      rowOf("keys", {
        kid: h("code", {}, key.kid),
        algorithm: key.algorithm,
        state: h("span", { class: `badge ${kind(key)}` }, t(`key.${key.state}`)),
        from: key.signs_from === undefined ? t("admin.keys.first") : atDate(key.signs_from),
        until: key.verifies_until === undefined ? "–" : atDate(key.verifies_until),
      }),
    ));
  };

  rotate.addEventListener("click", () =>
    page.attempt(async () => {
      const question = { title: t("admin.keys.rotateTitle"), text: t("admin.keys.rotateText"), action: t("admin.keys.rotate") };
      if (!(await confirm({ ...question, signal: page.signal }))) return;
      /** @type {Key} */
      const made = await page.call("/admin/keys/rotate", { method: "POST" });
      await refresh();
      page.say(t("admin.keys.rotated", made.kid, dateTime(made.signs_from ?? Date.now() / 1000)));
    }),
  );

  const head = COLUMNS.map((column) => h("th", { role: "columnheader", scope: "col" }, t(`admin.keys.${column}`)));
  void page.attempt(refresh);
  return h("section", { class: "card", "aria-labelledby": "keys" },
    h("div", { class: "row apart" }, title, rotate),
    h("p", { class: "quiet" }, t("admin.keys.intro")),
    h("div", { class: "table" },
      h("table", { class: "stacks", role: "table", "aria-labelledby": "keys" },
        h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, head)), body,
      ),
    ),
  );
}
