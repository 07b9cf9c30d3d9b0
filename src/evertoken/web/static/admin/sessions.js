// @ts-check
/** Everybody's sessions: search, page, look into one, end it. */

import { h } from "../dom.js";
import { t } from "../i18n.js";
import { deviceName } from "../shell/devices.js";
import { confirm } from "../shell/dialog.js";
import { list, rowOf } from "./list.js";
import { tellStory } from "./story.js";
import { atAgo, atDate } from "./times.js";

/**
 * @typedef {{id: string, user_id: string, username: string, client_id: string, delivery: string, created_at: number,
 *   created_device: string, created_address: string, last_refreshed_at: number, device: string, address: string,
 *   rotations: number, expires_at: number, state: string, ended_at?: number}} Item
 */

const COLUMNS = ["user", "device", "address", "created", "refreshed", "state", "actions"];

/**
 * @param {import("../shell.js").Page} page
 * @param {{place: import("./list.js").Place, changed: () => Promise<void>}} options
 */
export function sessions(page, { place, changed }) {
  let userId = place.query?.user_id ?? "";
  const state = h("select", { id: "sessions-state" },
    ["live", "all"].map((value) =>
      h("option", { value, selected: value === place.query?.state }, t(`admin.sessions.${value}`))),
  );
  state.addEventListener("change", () => everywhere.ask());
  const only = h("p", { class: "only", hidden: !userId },
    h("button", { type: "button", onclick: () => onlyOf({ id: "", username: "" }) }, t("admin.sessions.ofEverybody")),
  );

  /** @param {Item} item */
  const row = (item) => {
    const isOwn = item.id === page.user.session_id;
    const where = nameOf(item);
    return rowOf("sessions", {
      user: [item.username, " ", isOwn && h("span", { class: "badge good" }, t("admin.sessions.own"))],
      device: h("span", { title: item.device }, where),
      address: item.address,
      created: atDate(item.created_at),
      refreshed: atAgo(item.last_refreshed_at),
      state: badge(item.state),
      actions: h("div", { class: "row end" },
        h("button", {
          type: "button", onclick: () => page.attempt(() => tellStory(page, item)),
          "aria-label": t("admin.sessions.storyLabel", item.username, where),
        }, t("admin.sessions.story")),
        item.state === "live" && h("button", {
          type: "button", class: "danger", onclick: () => end(item, isOwn),
          "aria-label": t("admin.sessions.endLabel", item.username, where),
        }, t("admin.sessions.end")),
      ),
    });
  };

  /** @param {Item} item @param {boolean} isOwn */
  const end = (item, isOwn) =>
    page.attempt(async () => {
      const text = t(isOwn ? "admin.sessions.endOwnText" : "admin.sessions.endText", item.username, nameOf(item), item.address);
      const question = { title: t("admin.sessions.endTitle"), text, action: t("admin.sessions.end") };
      if (!(await confirm({ ...question, isDanger: true, signal: page.signal }))) return;
      await page.call(`/admin/sessions/${item.id}`, { method: "DELETE" });
      await changed();
      page.say(t("admin.sessions.ended", item.username));
    });

  const everywhere = list(page, {
    name: "sessions", path: "/admin/sessions", place, columns: COLUMNS, row,
    filters: [h("div", {}, h("label", { for: "sessions-state" }, t("admin.sessions.which")), state), only],
    query: () => ({ state: state.value, user_id: userId }),
  });

  /** Show one user's sessions, or with an empty id everybody's. @param {{id: string, username: string}} user */
  const onlyOf = async (user) => {
    userId = user.id;
    only.hidden = !userId;
    everywhere.search.value = "";
    await everywhere.ask();
    if (userId) page.say(t("admin.sessions.onlyOf", user.username));
    everywhere.title.focus();
  };

  return { element: everywhere.element, refresh: everywhere.refresh, onlyOf };
}

/** @param {Item} item */
const nameOf = ({ device }) => deviceName(device) || t("admin.sessions.unnamed");

/** How a session stands. @param {string} state `live`, or why it is over */
export function badge(state) {
  const kind = state === "live" ? "good" : ["replayed", "account_disabled"].includes(state) ? "bad" : "";
  return h("span", { class: `badge ${kind}` }, t(`state.${state}`));
}
