// @ts-check
/**
 * In cookie mode no access token is written down: it stays in the memory of the tabs. The tab that has renewed tells the
 * others of its origin; one that was just loaded asks them.
 */

/** @typedef {import("../decide/record.js").Record} Record */

/** How long another tab is given to tell the access token; without an answer, the tab refreshes. */
const ASKING_MS = 100;

/**
 * @param {import("./channel.js").Channel} channel
 * @returns {{lift: (record: ?Record) => Promise<?Record>, keep: (record: ?Record) => void}}
 */
export function veil(channel) {
  /** @type {import("./channel.js").Known} */
  let known = {};
  const isOf = (/** @type {Record} */ { version, session_id }) =>
    version === known.version && session_id === known.session_id;

  channel.hear(({ ask, token }) => {
    if (ask && known.access_token) channel.tell({ token: known });
    // What is told late, or by a tab with a storage of its own, is no news.
    if (token && (token.session_id !== known.session_id || /** @type {any} */ (token).version > (known.version ?? -1))) known = token;
  });

  /**
   * What stands there now. The version stays, so that what is told late of a session that is gone is no news.
   * @param {?Record} record
   */
  const keep = (record) => {
    const { version, session_id, access_token } = record ?? { ...known, access_token: null };
    known = { version, session_id, access_token };
    if (access_token) channel.tell({ token: known });
  };

  return {
    keep,
    /** What stands in the store, with the access token of it, if some tab has that. */
    async lift(record) {
      if (!record || record.ended) {
        keep(null);
        return record;
      }
      const isLive = record.expires_at === null ? record.obtained_at : record.expires_at > Date.now() / 1000;
      if (isLive && channel.open && !isOf(record)) {
        await new Promise((resolve) => {
          const late = AbortSignal.timeout(ASKING_MS);
          late.onabort = resolve;
          channel.hear(() => isOf(record) && resolve(null), late);
          channel.tell({ ask: true });
        });
      }
      return { ...record, access_token: (isOf(record) && known.access_token) || null };
    },
  };
}
