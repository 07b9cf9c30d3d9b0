// @ts-check
/**
 * A store for cookie mode, which writes no access token down: it stays in the memory of the tabs.
 *
 * The tab that has renewed tells the others of its origin; one that was just loaded asks them.
 */

/** @typedef {import("../gate.js").Store} Store */

/** How long another tab is given to tell the access token; without an answer, the tab refreshes. */
const ASKING_MS = 100;

/**
 * @param {Store} inner
 * @param {import("./channel.js").Channel} channel
 * @returns {Store}
 */
export function veiled(inner, channel) {
  /** @type {import("./channel.js").Known} */
  let known = { version: -1, session_id: null, access_token: null };
  /** What was read last, as it was told and as it stands there. @type {(?string)[]} */
  let last = [null, null];

  channel.hear(({ ask, token }) => {
    if (ask && known.access_token) channel.tell({ token: known });
    // What is told late, or by a tab with a storage of its own, is no news.
    if (token && (token.session_id !== known.session_id || token.version > known.version)) known = token;
  });

  /** @param {any} record */
  const isKnown = (record) => record.version === known.version && record.session_id === known.session_id;

  /** @param {any} record */
  const ask = (record) =>
    new Promise((/** @type {(value: void) => void} */ resolve) => {
      const stop = channel.hear(({ token }) => token && isKnown(record) && done());
      const waiting = setTimeout(() => done(), ASKING_MS);
      const done = () => {
        stop();
        clearTimeout(waiting);
        resolve();
      };
      channel.tell({ ask: true });
    });

  return {
    ...inner,
    load: async () => {
      const before = known;
      const document = await inner.load();
      const record = read(document);
      if (!record || record.ended) {
        // The version stays, so that what is told late of this session is no news.
        if (known === before) known = { ...known, access_token: null };
        return document;
      }
      const isLive = record.expires_at == null ? record.obtained_at : record.expires_at > Date.now() / 1000;
      if (isLive && channel.isOpen && !isKnown(record)) await ask(record);
      const told = JSON.stringify({ ...record, access_token: isKnown(record) ? known.access_token : null });
      last = [told, document];
      return told;
    },
    swap: async (expected, document) => {
      const record = read(document);
      const kept = record ? JSON.stringify({ ...record, access_token: null }) : document;
      const isDone = await inner.swap(expected === last[0] ? last[1] : expected, kept);
      if (isDone) {
        const { version, session_id, access_token } = record ?? { ...known, access_token: null };
        known = { version, session_id, access_token };
        if (access_token) channel.tell({ token: known });
      }
      return isDone;
    },
  };
}

/** The members of a record, or null. @param {?string} document */
function read(document) {
  try {
    const record = JSON.parse(document ?? "null");
    return typeof record === "object" ? record : null;
  } catch {
    return null;
  }
}
