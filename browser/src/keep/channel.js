// @ts-check
/** What tabs of one origin tell each other: that something has changed, and in cookie mode the new access token. */

/** @typedef {{changed?: true, ask?: true, token?: Known}} Notice */
/** @typedef {{version?: number, session_id?: ?string, access_token?: ?string}} Known */

/** Does nothing where there is no BroadcastChannel; each tab then learns of the others from the store alone. */
export class Channel {
  /** @type {BroadcastChannel | null | undefined} */
  open;

  /** @param {string} name */
  constructor(name) {
    try {
      // Where there is no origin (a server that renders) there are no other tabs either.
      this.open = globalThis.location && new BroadcastChannel(name);
    } catch {
      // Blocked for this page, or unknown to its browser.
    }
  }

  /** @param {(notice: Notice) => void} hear @param {AbortSignal} [signal] ends it */
  hear(hear, signal) {
    this.open?.addEventListener("message", ({ data }) => hear(data ?? {}), { signal });
  }

  /** @param {Notice} notice */
  tell(notice) {
    this.open?.postMessage(notice);
  }

  close() {
    this.open?.close();
    this.open = null;
  }
}
