// @ts-check
/** Users: who there is, who may sign in, and where somebody is signed in. */

import { h } from "../dom.js";
import { number, t } from "../i18n.js";
import { about } from "../shell/about.js";
import { confirm } from "../shell/dialog.js";
import { list, rowOf } from "./list.js";
import { atDate } from "./times.js";

/** @typedef {{id: string, username: string, disabled: boolean, roles: string[], created_at: number, live_sessions: number}} Item */

const COLUMNS = ["user", "roles", "sessions", "created", "state", "actions"];

/**
 * @param {import("../shell.js").Page} page
 * @param {{place: import("./list.js").Place, changed: () => Promise<void>, onlyOf: (user: Item) => Promise<void>}} options
 */
export function users(page, { place, changed, onlyOf }) {
  if (about.passwordLength === null) {
    const title = h("h2", { id: "users", tabindex: -1 }, t("admin.users"));
    const element = h("section", { class: "card" }, title, h("p", { class: "quiet" }, t("admin.users.elsewhere")));
    return { element, refresh: async () => {} };
  }

  /** @param {Item} item */
  const row = (item) => {
    const act = item.disabled ? "enable" : "disable";
    return rowOf("users", {
      user: item.username,
      roles: h("div", {}, item.roles.flatMap((role) => [h("span", { class: "badge" }, role), " "])),
      sessions: item.live_sessions === 0 ? "0" : h("button", {
        type: "button", class: "link number", onclick: () => page.attempt(() => onlyOf(item)),
        "aria-label": t("admin.users.sessionsLabel", number(item.live_sessions), item.username),
      }, number(item.live_sessions)),
      created: atDate(item.created_at),
      state: h("span", { class: `badge ${item.disabled ? "bad" : "good"}` }, t(`admin.users.${item.disabled ? "disabled" : "enabled"}`)),
      actions: h("div", { class: "row end" },
        item.live_sessions > 0 && h("button", {
          type: "button", class: "danger", onclick: () => change(item, "end"),
          "aria-label": t("admin.users.endLabel", item.username),
        }, t("admin.users.end")),
        h("button", {
          type: "button", class: item.disabled ? null : "danger", onclick: () => change(item, act),
          "aria-label": t(`admin.users.${act}Label`, item.username),
        }, t(`admin.users.${act}`)),
      ),
    });
  };

  /** @param {Item} item @param {"end" | "disable" | "enable"} act */
  const change = (item, act) =>
    page.attempt(async () => {
      const isSelf = item.id === page.user.id && act !== "enable";
      const text = t(`admin.users.${act}Text`, item.username) + (isSelf ? ` ${t("admin.users.self")}` : "");
      const question = { title: t(`admin.users.${act}Title`), text, action: t(`admin.users.${act}`) };
      if (!(await confirm({ ...question, isDanger: act !== "enable", signal: page.signal }))) return;
      if (act === "end") await page.call(`/admin/users/${encodeURIComponent(item.id)}/sessions`, { method: "DELETE" });
      else await page.call(`/admin/users/${encodeURIComponent(item.id)}/${act}`, { method: "POST" });
      await changed();
      page.say(t(`admin.users.${act}Done`, item.username));
    });

  const people = list(page, { name: "users", path: "/admin/users", place, columns: COLUMNS, row });
  return { element: people.element, refresh: people.refresh };
}
