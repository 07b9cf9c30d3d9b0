// @ts-check
/**
 * What all pages have in common: who is signed in, the header, the sign-in form, messages. How a page uses it:
 *
 *     import { startPage } from "../shell.js";         // static/<page>/main.js, loaded by static/<page>.html
 *     import { h, svg, replace } from "../dom.js";     // elements; no innerHTML, no style attributes
 *     import { t, ago, dateTime, number } from "../i18n.js";
 *     import { confirm } from "../shell/dialog.js";    // await confirm({ title, text, action, isDanger }) -> boolean
 *     import { en } from "./texts/en.js";
 *     import { zh } from "./texts/zh.js";
 *
 *     startPage({
 *       name: "sessions",           // of nav.<name>, the page's title
 *       texts: { en, zh },
 *       role: "admin",              // optional: only with this role
 *       guest: { username, password, hint },  // optional: prefills the sign-in form; hint is a key of texts
 *       main(page) { page.root.append(h("p", {}, t("sessions.intro"))); },
 *     });
 *
 * `main(page)` fills `page.root` (a <main> that has its <h1> already) each time somebody has signed in, and again when
 * the language is switched; `page.signal` is aborted when that is over: end timers and listeners by it. What must
 * outlive a switch of the language is kept outside of `main`.
 * `page.call(path, { method, body })` is the answer's JSON (undefined for 204); it throws Problem {status, code,
 * detail} for refusals, Unreachable where no answer comes, SessionError where nobody is signed in any more.
 * `page.attempt(work)` runs work() and says what went wrong, if it is not that nobody is signed in.
 * `page.say(text)`, `page.say(text, "error")` show and announce a message. `page.user` = {id, name, roles, session_id}.
 */

import { createSession, SessionError } from "./client.js";
import { h, replace } from "./dom.js";
import { addTexts, has, language, t } from "./i18n.js";
import { about } from "./shell/about.js";
import { explain, isExpected, Problem, read, Unreachable } from "./shell/calls.js";
import { header } from "./shell/header.js";
import { Messages } from "./shell/messages.js";
import { signInForm } from "./shell/sign_in.js";
import { en } from "./texts/en.js";
import { zh } from "./texts/zh.js";

export { explain, Problem, Unreachable };

/** The session of this page, shared with the other tabs of this origin. */
export const session = createSession();

/** @typedef {{id: string, name: string, roles: string[], session_id: string}} User */
/** @typedef {{username?: string, password?: string, hint?: string}} Guest */
/**
 * @typedef {object} Page
 * @property {typeof session} session
 * @property {User} user
 * @property {HTMLElement} root
 * @property {AbortSignal} signal aborted when this user's visit, or this language, is over
 * @property {(path: string, init?: {method?: string, body?: unknown, signal?: AbortSignal}) => Promise<any>} call
 * @property {(work: () => unknown) => Promise<void>} attempt
 * @property {(text: string, kind?: "info" | "error") => void} say
 */
/**
 * @typedef {object} Definition
 * @property {string} name
 * @property {Record<import("./i18n.js").Language, import("./i18n.js").Texts>} texts
 * @property {(page: Page) => unknown} main
 * @property {string} [role]
 * @property {Guest} [guest]
 */

/** Begin a page; once per document. @param {Definition} definition */
export function startPage(definition) {
  addTexts({ en, zh });
  addTexts(definition.texts);
  void new Shell(definition).begin();
}

class Shell {
  /** @type {?User} */
  #user = null;
  #visit = new AbortController();
  #messages = new Messages();
  #top = h("div", { class: "top" });
  #root = h("main", { id: "content", tabindex: -1 });
  #bottom = h("footer");
  /** Another user has signed in: what is to be seen here changes only when somebody says so. */
  #isAnothers = false;
  /** Counts what has been begun: an answer that arrives after something newer is out of date. */
  #turn = 0;

  /** @param {Definition} definition */
  constructor(definition) {
    this.definition = definition;
    session.addEventListener("signedout", (event) => {
      const { reason } = /** @type {Event & {reason: string}} */ (event);
      this.#signedOut(has(`over.${reason}`) ? reason : "unknown");
    });
    session.addEventListener("weaker", () => this.#weaker());
    // Another tab has signed in: this one need not ask for the password again.
    session.addEventListener("signedin", (event) => {
      const { isElsewhere } = /** @type {Event & {isElsewhere: boolean}} */ (event);
      if (isElsewhere && !this.#user && !this.#isAnothers) void this.begin();
    });
  }

  /** Whoever is signed in gets the page, else there is the form. */
  async begin() {
    const turn = (this.#turn += 1);
    this.#frame();
    replace(this.#root, h("p", { class: "quiet" }, t("shell.loading")));
    try {
      const isSignedIn = await session.restore();
      const user = isSignedIn ? userOf(await this.#call("/auth/me")) : null;
      if (turn !== this.#turn) return;
      this.#user = user;
      this.#show();
    } catch (error) {
      // What the session says of its own end has been shown by then.
      if (turn === this.#turn) this.#failed(error);
    }
  }

  #show() {
    this.#visit.abort();
    this.#visit = new AbortController();
    this.#frame();
    const user = this.#user;
    if (!user) return this.#askWho();
    const { name, role, main } = this.definition;
    replace(this.#root, h("h1", {}, t(`nav.${name}`)));
    if (role && !user.roles.includes(role)) {
      this.#root.append(h("p", { class: "card" }, t("shell.needsRole", role)));
      return;
    }
    const page = this.#page(user);
    void page.attempt(() => main(page));
  }

  /** @param {User} user @returns {Page} */
  #page(user) {
    const { signal } = this.#visit;
    const say = this.#messages.say;
    return {
      session,
      user,
      root: this.#root,
      signal,
      say,
      call: (path, init = {}) => this.#call(path, { signal, ...init }),
      attempt: async (work) => {
        try {
          await work();
        } catch (error) {
          if (signal.aborted || (error instanceof SessionError && error.code === "signed_out")) return;
          if (!isExpected(error)) console.error(error);
          say(explain(error), "error");
        }
      },
    };
  }

  #askWho() {
    const form = signInForm(session, this.definition.guest ?? {}, async () => {
      this.#messages.clear();
      await this.begin();
      this.#root.focus();
    });
    replace(this.#root, form);
    /** @type {HTMLElement | null} */ (form.querySelector("input"))?.focus();
  }

  /** @param {string} reason */
  #signedOut(reason) {
    this.#turn += 1;
    this.#user = null;
    this.#show();
    // Whoever signed in elsewhere is signed in here too, once the page begins anew: no password is asked for.
    this.#isAnothers = reason === "signed_in_anew";
    if (this.#isAnothers) replace(this.#root, button("shell.reload", () => location.reload()));
    const isOurs = reason === "signed_out";
    this.#messages.say(t(`over.${reason}`), isOurs ? "info" : "error");
  }

  /** @param {unknown} error */
  #failed(error) {
    if (error instanceof SessionError && error.code === "signed_out") {
      this.#user = null;
      return this.#show();
    }
    if (!isExpected(error)) console.error(error);
    const again = () => {
      this.#messages.clear();
      void this.begin();
    };
    replace(this.#root, button("shell.retry", again));
    this.#messages.say(explain(error), "error");
  }

  /** The header and the places for the rest, in the language of the moment. */
  #frame() {
    const { name } = this.definition;
    document.title = `${t(`nav.${name}`)} · ${about.service}`;
    const skip = h("a", { class: "skip", href: "#content" }, t("shell.skip"));
    replace(this.#top, skip, header({
      name,
      user: this.#user,
      language: language(),
      signOut: () => this.#signOut(),
      switched: () => this.#switched(),
    }));
    this.#weaker();
    if (!this.#root.isConnected) replace(document.body, this.#top, this.#messages.element, this.#root, this.#bottom);
  }

  /** What the browser lacks, and what is weaker by it; in the client's words, which are English. */
  #weaker() {
    const items = session.weaknesses.map((what) => h("li", { lang: "en" }, what));
    replace(this.#bottom, items.length > 0 && [h("p", {}, t("shell.weaker")), h("ul", {}, items)]);
  }

  #switched() {
    this.#messages.clear();
    this.#show();
    this.#top.querySelector("select")?.focus();
  }

  async #signOut() {
    try {
      await session.logout();
    } catch (error) {
      this.#messages.say(explain(error), "error");
    }
  }

  /**
   * @param {string} path
   * @param {{method?: string, body?: unknown, signal?: AbortSignal}} [init]
   */
  async #call(path, { method = "GET", body, signal } = {}) {
    const headers = body === undefined ? undefined : { "Content-Type": "application/json" };
    const text = body === undefined ? undefined : JSON.stringify(body);
    const sent = session.fetch(path, { method, headers, body: text, signal });
    return read(await sent.catch((error) => {
      // fetch says every failure of the network by a TypeError, in each browser's own words.
      throw error instanceof TypeError ? new Unreachable(path, { cause: error }) : error;
    }));
  }
}

/** @param {string} key of its words @param {() => unknown} work */
const button = (key, work) =>
  h("p", { class: "card narrow" }, h("button", { type: "button", class: "primary", onclick: work }, t(key)));

/** @param {Record<string, any>} claims of /auth/me @returns {User} */
const userOf = ({ sub, sid, roles = [], preferred_username = sub }) => ({
  id: sub, session_id: sid, roles, name: preferred_username,
});
