// @ts-check
/** The page "Admin": how many tokens are out there, and whose; everybody's sessions, users, signing keys. */

import { h } from "../dom.js";
import { t } from "../i18n.js";
import { startPage } from "../shell.js";
import { keys } from "./keys.js";
import { overview } from "./overview.js";
import { sessions } from "./sessions.js";
import { en } from "./texts/en.js";
import { zh } from "./texts/zh.js";
import { users } from "./users.js";

const SECTIONS = ["sessions", "users", "keys"];

/** What was searched for, and where one was in a list: it outlives a switch of the language, not a change of the user. */
const kept = { user: "", places: /** @type {Record<string, import("./list.js").Place>} */ ({}) };

startPage({
  name: "admin",
  role: "admin",
  texts: { en, zh },
  main(page) {
    if (kept.user !== page.user.id) Object.assign(kept, { user: page.user.id, places: {} });
    const { places } = kept;
    /** Somebody has changed something: the figures and the lists that tell of it are read again. */
    const changed = async () => {
      await Promise.all([figures.refresh(), everywhere.refresh(), people.refresh()]);
    };
    const figures = overview(page, { onlyOf: (user) => everywhere.onlyOf(user) });
    const everywhere = sessions(page, { place: (places.sessions ??= {}), changed });
    const people = users(page, { place: (places.users ??= {}), changed, onlyOf: (user) => everywhere.onlyOf(user) });
    const links = SECTIONS.map((name) => h("li", {}, h("a", { href: `#${name}` }, t(`admin.${name}`))));
    page.root.append(
      ...figures.elements,
      h("nav", { class: "within", "aria-label": t("admin.within") }, h("ul", {}, links)),
      everywhere.element,
      people.element,
      keys(page),
    );
  },
});
