// @ts-check
/** A list that is searched and read page by page, however long it is. */

import { h, replace } from "../dom.js";
import { number, t } from "../i18n.js";

/** @typedef {import("../shell.js").Page} Page */
/** @typedef {import("../dom.js").Child} Child */
/**
 * Where somebody is in a list: what was asked for, and the cursors of the pages up to this one.
 * @typedef {{query?: Record<string, string>, cursors?: string[]}} Place
 */
/**
 * @template T
 * @typedef {object} Definition
 * @property {string} name of the section, of its words and of the member of the answer: "sessions"
 * @property {string} path
 * @property {Place} place
 * @property {string[]} columns
 * @property {(item: T) => HTMLTableRowElement} row
 * @property {Child[]} [filters] further parts of the search form; what they hold is read by `query`
 * @property {() => Record<string, string>} [query] what they ask for
 */

const ROWS = 20;
/** How often the server is asked for one page: it looks at so many rows each time, and what is rare may be far down. */
const MOST_CALLS = 40;

/**
 * @template T
 * @param {Page} page
 * @param {Definition<T>} definition
 */
export function list(page, { name, path, place, columns, row, filters = [], query = () => ({}) }) {
  const title = h("h2", { id: name, tabindex: -1 }, t(`admin.${name}`));
  const search = h("input", {
    type: "search", id: `${name}-search`, value: place.query?.search ?? "", maxlength: 128, spellcheck: "false",
    autocapitalize: "none", autocomplete: "off", "aria-describedby": `${name}-hint`,
  });
  const status = h("p", { class: "quiet", role: "status" });
  const body = h("tbody", { role: "rowgroup" });
  const previous = h("button", { type: "button", onclick: () => turn(-1) }, t("list.previous"));
  const next = h("button", { type: "button", onclick: () => turn(1) }, t("list.next"));
  /** Counts what has been asked: an answer that arrives after a newer question is out of date. */
  let asked = 0;
  let after = "";

  /** @returns {Promise<{items: T[], next: string}>} the page at this place, filled up as far as the list goes */
  const read = async () => {
    /** @type {T[]} */
    const items = [];
    let cursor = place.cursors?.at(-1) ?? "";
    for (let call = 0; call < MOST_CALLS; call += 1) {
      const wanted = { ...place.query, after: cursor, limit: String(ROWS - items.length) };
      const given = Object.entries(wanted).filter(([, value]) => value !== "");
      const answer = await page.call(`${path}?${new URLSearchParams(given)}`);
      items.push(...answer[name]);
      cursor = answer.next ?? "";
      if (!cursor || items.length >= ROWS) break;
    }
    return { items, next: cursor };
  };

  const refresh = async () => {
    const turnOf = (asked += 1);
    section.setAttribute("aria-busy", "true");
    try {
      const found = await read();
      if (turnOf !== asked || page.signal.aborted) return;
      after = found.next;
      show(found.items);
    } finally {
      if (turnOf === asked) section.removeAttribute("aria-busy");
    }
  };

  /** @param {T[]} items */
  const show = (items) => {
    const cursors = place.cursors ?? [];
    const hadFocus = section.contains(document.activeElement);
    replace(body, items.map(row));
    previous.disabled = cursors.length === 0;
    next.disabled = !after;
    const first = cursors.length * ROWS + 1;
    status.textContent = items.length === 0
      ? t(cursors.length > 0 ? "list.noMore" : `admin.${name}.none`)
      : t(`admin.${name}.shown`, number(first), number(first + items.length - 1), Boolean(after));
    // The button that was used is gone or cannot be used any more: go on from the top of the section.
    if (hadFocus && !section.contains(document.activeElement)) title.focus();
    if (document.activeElement instanceof HTMLButtonElement && document.activeElement.disabled) title.focus();
  };

  /** @param {1 | -1} by */
  const turn = (by) => {
    const cursors = place.cursors ?? [];
    place.cursors = by > 0 ? [...cursors, after] : cursors.slice(0, -1);
    return page.attempt(refresh);
  };

  const ask = () => {
    Object.assign(place, { query: { search: search.value.trim(), ...query() }, cursors: [] });
    return page.attempt(refresh);
  };

  const form = h("form", { role: "search", "aria-labelledby": name, class: "row search", onsubmit: submitted },
    h("div", { class: "grow" },
      h("label", { for: search.id }, t("list.search")),
      h("p", { class: "hint", id: `${name}-hint` }, t(`admin.${name}.searchHint`)),
      search,
    ),
    ...filters,
    h("button", { class: "primary" }, t("list.submit")),
  );
  /** @param {SubmitEvent} event */
  function submitted(event) {
    event.preventDefault();
    void ask();
  }

  const head = columns.map((column) =>
    h("th", { role: "columnheader", scope: "col" },
      h("span", { class: column === "actions" ? "visually-hidden" : null }, t(`admin.${name}.${column}`)),
    ),
  );
  const section = h("section", { class: "card", "aria-labelledby": name },
    title, form, status,
    h("div", { class: "table" },
      h("table", { class: "stacks", role: "table", "aria-labelledby": name },
        h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, head)), body,
      ),
    ),
    h("div", { class: "row end" }, previous, next),
  );
  previous.disabled = next.disabled = true;
  place.query ??= query();
  void page.attempt(refresh);
  return { element: section, refresh, ask, title, search };
}

/**
 * A row's cells: the first says whose row it is, the last is for what can be done.
 * @param {string} name of the list
 * @param {Record<string, Child | Child[]>} cells by column
 */
export function rowOf(name, cells) {
  const made = Object.entries(cells).map(([column, value], place) =>
    place === 0
      ? h("th", { role: "rowheader", scope: "row" }, value)
      : column === "actions"
        ? h("td", { role: "cell", class: "end" }, value)
        : h("td", { role: "cell", class: column, "data-label": t(`admin.${name}.${column}`) }, value),
  );
  return h("tr", { role: "row" }, made);
}
