// @ts-check
/** The demo: a dashboard that stays signed in, a timeline that shows how, and buttons that try to end it. */

// First, so that whatever the client sends is seen.
import { line, real } from "./network.js";
import { h } from "../dom.js";
import { t } from "../i18n.js";
import { startPage } from "../shell.js";
import { actions } from "./actions.js";
import { Stage } from "./stage.js";
import { en } from "./texts/en.js";
import { zh } from "./texts/zh.js";
import { PERIODS_MS, tile } from "./tiles.js";

/** @typedef {import("./tiles.js").Name} Name */

/** @type {import("./actions.js").About} */
const about = await (await real("/demo/about")).json();
const stage = new Stage();
await stage.join();

startPage({
  name: "demo",
  texts: { en, zh },
  guest: { username: about.username, password: about.password, hint: "demo.guest" },
  main: (page) => {
    page.root.append(
      h("p", { class: "wide" }, t("demo.intro", about)),
      dashboard(page),
      actions({ page, stage, about }),
    );
  },
});
stage.begin();

/** Six tiles, until the visit is over. @param {import("../shell.js").Page} page */
function dashboard({ signal }) {
  const names = /** @type {Name[]} */ (Object.keys(PERIODS_MS));
  const tiles = names.map((name) => {
    const shown = tile(name);
    void keepAsking(name, shown, signal);
    return shown.element;
  });
  return h("div", { class: "dashboard" }, tiles);
}

/**
 * @param {Name} name
 * @param {import("./tiles.js").Tile} shown
 * @param {AbortSignal} signal
 */
async function keepAsking(name, shown, signal) {
  while (!signal.aborted) {
    const { outcome, figures } = await stage.ask(name, signal);
    if (outcome === "good") shown.show(figures);
    else if (!signal.aborted) shown.fail(line.isOffline);
    await new Promise((resolve) => setTimeout(resolve, PERIODS_MS[name]));
  }
}
