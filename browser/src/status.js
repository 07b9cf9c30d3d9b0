// @ts-check
/** Whether somebody is signed in, as a value that pages draw: what the React hook and the Vue composable share. */

import { SessionError } from "./errors.js";

/** @typedef {import("./session.js").Session} Session */
/**
 * @typedef {object} Status
 * @property {"loading" | "signed_in" | "signed_out"} status loading until the session has been restored
 * @property {?string} reason why nobody is signed in, or, while loading, why it cannot be found out yet
 * @property {?{session_id: ?string, account: ?string}} user
 */

/** @type {Status} */
export const LOADING = Object.freeze({ status: "loading", reason: null, user: null });
/** @type {Status} */
const SIGNED_OUT = Object.freeze({ status: "signed_out", reason: null, user: null });

/** How soon a restore is tried again that has failed without saying when. */
const RESTORE_AGAIN_SECONDS = 5;

/** Lives as long as its session, which holds its listeners: the same for every component. @type {WeakMap<Session, Watch>} */
const watches = new WeakMap();

/** @param {Session} session */
export function watchOf(session) {
  const watch = watches.get(session) ?? new Watch(session);
  watches.set(session, watch);
  return watch;
}

/** Asks and listens only once somebody has subscribed: a server that renders has no session to find. */
export class Watch {
  #session;
  #status = LOADING;
  #isListening = false;
  #isRestoring = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #waiting;
  /** @type {Set<() => void>} */
  #subscribers = new Set();

  /** @param {Session} session */
  constructor(session) {
    this.#session = session;
    this.#look();
  }

  /** The same object for as long as nothing has changed. */
  get = () => this.#status;

  /** @param {() => void} changed @returns {() => void} ends it */
  subscribe = (changed) => {
    // A function that is given twice is told twice, and taken away once.
    const subscriber = () => changed();
    this.#subscribers.add(subscriber);
    this.#listen();
    this.#look();
    if (this.#status.status === "loading") void this.#restore();
    return () => {
      this.#subscribers.delete(subscriber);
      if (!this.#subscribers.size) clearTimeout(this.#waiting);
    };
  };

  #listen() {
    if (this.#isListening) return;
    this.#isListening = true;
    const session = this.#session;
    session.addEventListener("token", () => this.#look());
    session.addEventListener("signedout", (event) => {
      const { reason = null } = /** @type {Event & {reason?: string}} */ (event);
      this.#set({ ...SIGNED_OUT, reason });
    });
    // Another tab has signed in: this page goes on with that session, as after a load.
    session.addEventListener("signedin", (event) => {
      const { isElsewhere } = /** @type {Event & {isElsewhere?: boolean}} */ (event);
      if (isElsewhere) void this.#restore();
      else this.#look();
    });
  }

  /** Take over who is signed in on this page. */
  #look() {
    const { user } = this.#session;
    if (!user) return;
    const { status, user: before } = this.#status;
    const isSame = before?.account === user.account && before?.session_id === user.session_id;
    if (status !== "signed_in" || !isSame) this.#set({ status: "signed_in", reason: null, user });
  }

  async #restore() {
    if (this.#isRestoring) return;
    this.#isRestoring = true;
    clearTimeout(this.#waiting);
    try {
      const isSomebody = await this.#session.restore();
      this.#look();
      // A sign-out that came meanwhile knows more.
      if (!isSomebody && this.#status.status === "loading") this.#set(SIGNED_OUT);
    } catch (cause) {
      this.#failed(/** @type {any} */ (cause));
      // A fault that is not the session's is nobody's to handle here.
      if (!(cause instanceof SessionError)) throw cause;
    } finally {
      this.#isRestoring = false;
    }
  }

  /** @param {{code?: string, retryAfterSeconds?: number}} error */
  #failed({ code, retryAfterSeconds = RESTORE_AGAIN_SECONDS }) {
    if (this.#session.user || this.#status.status !== "loading") return;
    // A server that cannot be asked signs nobody out: it is asked again.
    if (code !== "refresh_unavailable") return this.#set({ ...SIGNED_OUT, reason: code ?? "unknown" });
    if (this.#status.reason !== code) this.#set({ ...LOADING, reason: code });
    if (this.#subscribers.size) this.#waiting = setTimeout(() => this.#restore(), retryAfterSeconds * 1000);
  }

  /** @param {Status} status */
  #set(status) {
    this.#status = Object.freeze(status);
    for (const subscriber of [...this.#subscribers]) subscriber();
  }
}
