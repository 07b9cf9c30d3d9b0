// @ts-check
/** Where somebody is signed in, kept up to date while he looks; end one, or all others. */

import { h, replace } from "../dom.js";
import { ago, dateTime, t } from "../i18n.js";
import { deviceName } from "../shell/devices.js";
import { confirm } from "../shell/dialog.js";
import { keepUpToDate } from "../shell/watching.js";

/** @typedef {import("../shell.js").Page} Page */
/**
 * @typedef {{id: string, device: string, address: string, created_at: number, last_refreshed_at: number,
 *   current: boolean}} Item
 * @typedef {{row: HTMLTableRowElement, update: (item: Item) => void}} Row
 */

const EVERY_MS = 10_000;
const COLUMNS = ["device", "address", "created", "refreshed", "action"];

/** @param {Page} page @returns {{element: HTMLElement, refresh: () => Promise<void>}} */
export function sessionList(page) {
  /** @type {Map<string, Row>} */
  const rows = new Map();
  let others = 0;
  const body = h("tbody", { role: "rowgroup" });
  const title = h("h2", { id: "where", tabindex: -1 }, t("sessions.list"));
  const endOthers = h("button", { type: "button", class: "danger", disabled: true }, t("sessions.endOthers"));

  /** @param {Item[]} items */
  const show = (items) => {
    const ids = items.map(({ id }) => id);
    const isSame = String(ids) === String([...body.rows].map((row) => row.dataset.id));
    for (const item of items) {
      if (!rows.has(item.id)) rows.set(item.id, makeRow(item, end));
      rows.get(item.id)?.update(item);
    }
    for (const id of rows.keys()) if (!ids.includes(id)) rows.delete(id);
    others = items.filter(({ current }) => !current).length;
    endOthers.disabled = others === 0;
    if (isSame) return;
    // What is moved in the document loses the focus.
    const focused = document.activeElement;
    replace(body, ids.map((id) => rows.get(id)?.row));
    if (focused instanceof HTMLElement && body.contains(focused)) focused.focus();
  };

  const refresh = async () => {
    const { sessions } = await page.call("/auth/sessions");
    if (!page.signal.aborted) show(sessions);
  };

  /** @param {string} path @param {string} done */
  const endAt = async (path, done) => {
    await page.call(path, { method: "DELETE" });
    await refresh();
    page.say(t(done));
    title.focus();
  };

  /** @param {Item} item */
  const end = (item) =>
    page.attempt(async () => {
      const where = [nameOf(item), item.address];
      const question = { title: t("sessions.endTitle"), text: t("sessions.endText", ...where), action: t("sessions.end") };
      if (!(await confirm({ ...question, isDanger: true, signal: page.signal }))) return;
      await endAt(`/auth/sessions/${item.id}`, "sessions.ended");
    });

  endOthers.addEventListener("click", () =>
    page.attempt(async () => {
      const text = t("sessions.endOthersText", others);
      const question = { title: t("sessions.endOthersTitle"), text, action: t("sessions.endOthers") };
      if (!(await confirm({ ...question, isDanger: true, signal: page.signal }))) return;
      await endAt("/auth/sessions?keep=current", "sessions.othersEnded");
    }),
  );

  keepUpToDate(page, EVERY_MS, refresh);

  const head = COLUMNS.map((name) =>
    h("th", { role: "columnheader", scope: "col" },
      h("span", { class: name === "action" ? "visually-hidden" : null }, t(`sessions.${name}`)),
    ),
  );
  const element = h("section", { class: "card", "aria-labelledby": "where" },
    h("div", { class: "row apart" }, title, endOthers),
    h("div", { class: "table" },
      h("table", { class: "stacks", role: "table", "aria-labelledby": "where" },
        h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, head)), body,
      ),
    ),
  );
  return { element, refresh };
}

/** @param {Item} item */
const nameOf = ({ device }) => deviceName(device) || t("sessions.unnamed");

/** @param {Item} item @param {(item: Item) => void} end @returns {Row} */
function makeRow(item, end) {
  /** @param {string} column @param {...import("../dom.js").Child} children */
  const cell = (column, ...children) =>
    h("td", { role: "cell", class: column, "data-label": t(`sessions.${column}`) }, ...children);
  const address = cell("address");
  const created = h("time");
  const refreshed = h("time");
  const name = nameOf(item);
  const button = h("button", {
    type: "button", onclick: () => end(item), "aria-label": t("sessions.endLabel", name, item.address),
  }, t("sessions.end"));
  const mark = item.current && h("span", { class: "badge good" }, t("sessions.current"));
  const row = h("tr", { role: "row", "data-id": item.id },
    h("th", { role: "rowheader", scope: "row", title: item.device }, name, " ", mark),
    address, cell("created", created), cell("refreshed", refreshed),
    h("td", { role: "cell", class: "end" }, !item.current && button),
  );
  /** @param {HTMLTimeElement} element @param {number} at @param {string} text */
  const tell = (element, at, text) => {
    element.dateTime = new Date(at * 1000).toISOString();
    element.title = dateTime(at);
    element.textContent = text;
  };
  /** @param {Item} now */
  const update = (now) => {
    address.textContent = now.address;
    tell(created, now.created_at, dateTime(now.created_at));
    tell(refreshed, now.last_refreshed_at, ago(now.last_refreshed_at));
  };
  return { row, update };
}
