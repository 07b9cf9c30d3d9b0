// @ts-check
/** The buttons: each says what will happen, and does it in earnest. */

import { h } from "../dom.js";
import { t } from "../i18n.js";
import { control, good } from "./control.js";
import { line, real } from "./network.js";
import { startTheft } from "./thief.js";

/** @typedef {import("../shell.js").Page} Page */
/** @typedef {import("./stage.js").Stage} Stage */
/** @typedef {{username: string, password: string, access_seconds: number, overlap_seconds: number,
 *   maturity_seconds: number}} About */
/** @typedef {{page: Page, stage: Stage, about: About}} Scene */

const MANY = 50;

/** @param {Scene} scene */
export function actions(scene) {
  const { page, stage } = scene;
  /** @param {string} name @param {() => unknown} work */
  const action = (name, work) => {
    const hint = h("p", { id: `${name}-hint`, class: "quiet" }, t(`demo.does.${name}`, scene.about));
    const button = h("button", { type: "button", "aria-describedby": `${name}-hint`, "data-action": name }, t(`demo.do.${name}`));
    button.addEventListener("click", () => page.attempt(work));
    return { button, element: h("li", { class: "action" }, button, hint), hint };
  };
  const burst = action("burst", async () => {
    await expire(scene);
    await fire(scene, MANY);
  });
  burst.button.classList.add("primary");
  const offline = action("offline", () => stage.switchLine(!line.isOffline));
  const showLine = () => {
    offline.button.textContent = t(line.isOffline ? "demo.do.online" : "demo.do.offline");
    offline.hint.textContent = t(line.isOffline ? "demo.does.online" : "demo.does.offline");
  };
  stage.onLine = showLine;
  showLine();
  const all = [
    burst,
    action("fire", () => fire(scene, MANY)),
    action("expire", () => expire(scene)),
    action("lose", () => lose(scene)),
    offline,
    action("tab", () => void open("/demo", "_blank", "noopener")),
    action("thief", () => startTheft(scene)),
    action("elsewhere", () => endElsewhere(scene)),
  ];
  return h("ul", { class: "actions", "aria-label": t("demo.actions") }, all.map(({ element }) => element));
}

/** @param {Scene} scene @param {number} count */
async function fire({ page, stage }, count) {
  const answers = await Promise.all(Array.from({ length: count }, () => stage.ask("orders", page.signal)));
  const good = answers.filter(({ outcome }) => outcome === "good").length;
  stage.mark("fired", `${good}/${count}`);
}

/** Make the demo's API refuse the access tokens that this session has. @param {Scene} scene */
async function expire({ stage }) {
  await control("/demo/expire", "POST");
  stage.mark("expired");
}

/** Lose the answer to a refresh that is needed at once. @param {Scene} scene */
async function lose(scene) {
  line.losesNextAnswer = true;
  scene.stage.mark("lose");
  await expire(scene);
  await fire(scene, 5);
}

/** As from another device: sign in there, end this session, and sign out again. @param {Scene} scene */
async function endElsewhere({ page, stage, about: { username, password } }) {
  const json = { "Content-Type": "application/json" };
  // Without cookies: another device has none of ours.
  /** @param {string} path @param {string} method @param {Record<string, string>} headers @param {unknown} [body] */
  const send = (path, method, headers, body) =>
    real(path, { method, headers, credentials: "omit", body: body === undefined ? undefined : JSON.stringify(body) });
  const signedIn = await good(await send("/auth/login", "POST", json, { username, password, delivery: "body" }));
  const { access_token, refresh_token } = await signedIn.json();
  await good(await send(`/auth/sessions/${page.user.session_id}`, "DELETE", { Authorization: `Bearer ${access_token}` }));
  stage.mark("ended_elsewhere");
  await good(await send("/auth/logout", "POST", json, { refresh_token }));
}
