// @ts-check
/** Evertoken's own speech where both tokens are in the body: loaded by pages that want it so. Pure. */

import { cookieSpeech } from "./speech.js";

/** @type {import("./speech.js").Speech} */
export const bodySpeech = {
  ...cookieSpeech,
  isCookie: false,
  more: {},
  call: (name, token, members) =>
    name === "csrf" ? null : [`/auth/${name}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(token ? { refresh_token: token } : { ...members }),
      credentials: "same-origin",
    }],
  find: (document, name) => document?.[name],
  // The CSRF token is the cookie's.
  verdict: (status, document, isRefresh) => status === 403 ? "accepted" : cookieSpeech.verdict(status, document, isRefresh),
};
