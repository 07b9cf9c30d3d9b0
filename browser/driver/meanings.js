// @ts-check
/** What a file says that an answer to a refresh means. */

import { text } from "./loading.js";

/** @typedef {import("./loading.js").Members} Members */
/** @typedef {import("../src/decide/tokens.js").Tokens} Tokens */
/** @typedef {Omit<import("../src/decide/tokens.js").Unusable, "why">} Unusable */

/** @param {Members} expect @returns {{tokens: Tokens} | {over: string} | {unusable: Unusable}} */
export function said(expect) {
  const kind = expect.only("tokens", "over", "unusable");
  if (kind === "over") return { over: expect.take("over", "string") };
  return expect.inner(kind, (inner) => {
    const orNull = (/** @type {string} */ name, /** @type {import("./loading.js").Kind} */ of) =>
      inner.take(name, of, null);
    if (kind === "unusable") {
      return {
        unusable: {
          retry_after_seconds: orNull("retry_after_seconds", "number"),
          is_stale: inner.take("is_stale", "boolean", false),
          is_final: inner.take("is_final", "boolean", false),
        },
      };
    }
    const sessionId = inner.take("session_id", ["string", "list"], null);
    return {
      tokens: {
        access_token: text(inner.take("access_token", ["string", "list"]), inner.where),
        refresh_token: orNull("refresh_token", "string"),
        expires_in: orNull("expires_in", "number"),
        refresh_expires_in: orNull("refresh_expires_in", "number"),
        session_id: sessionId === null ? null : text(sessionId, inner.where),
      },
    };
  });
}
