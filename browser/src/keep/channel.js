// @ts-check
/** What tabs of one origin tell each other: that something has changed, and in cookie mode the new access token. */

/** @typedef {{changed?: true, ask?: true, token?: Known}} Notice */
/** @typedef {{version: number, session_id: ?string, access_token: ?string}} Known */

/** Does nothing where there is no BroadcastChannel; each tab then learns of the others from the store alone. */
export class Channel {
  /** @type {Set<(notice: Notice) => void>} */
  #hearing = new Set();
  /** @type {?BroadcastChannel} */
  #channel = null;

  /** @param {string} name */
  constructor(name) {
    try {
      // Where there is no origin (a server that renders) there are no other tabs either.
      if (globalThis.location) this.#channel = new BroadcastChannel(name);
      this.#channel?.addEventListener("message", ({ data }) => {
        for (const hear of [...this.#hearing]) hear(data ?? {});
      });
    } catch {
      // Blocked for this page, or unknown to its browser: isOpen says so.
    }
  }

  get isOpen() {
    return this.#channel !== null;
  }

  /** @param {(notice: Notice) => void} hear @returns {() => void} stops it */
  hear(hear) {
    this.#hearing.add(hear);
    return () => void this.#hearing.delete(hear);
  }

  /** @param {Notice} notice */
  tell(notice) {
    this.#channel?.postMessage(notice);
  }

  close() {
    this.#channel?.close();
    this.#channel = null;
  }
}
