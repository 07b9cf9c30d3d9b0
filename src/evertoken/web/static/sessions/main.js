// @ts-check
/** The page "My sessions". */

import { h } from "../dom.js";
import { t } from "../i18n.js";
import { startPage } from "../shell.js";
import { sessionList } from "./list.js";
import { passwordForm } from "./password.js";
import { en } from "./texts/en.js";
import { zh } from "./texts/zh.js";

startPage({
  name: "sessions",
  texts: { en, zh },
  main(page) {
    const { element, refresh } = sessionList(page);
    page.root.append(h("p", { class: "quiet" }, t("sessions.intro")), element, passwordForm(page, refresh));
  },
});
