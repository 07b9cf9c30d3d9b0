// @ts-check
/** The parts of the client that a page which has an access token sends its requests without. */

import { lazily } from "./waits.js";

/** Sign-in, sign-out, and the question to the server who is signed in. */
export const account = /* @__PURE__ */ lazily(() => import("./account.js"));
/** What a page does for its session unasked: begun with its first use, and nothing waits for it. */
export const upkeep = /* @__PURE__ */ lazily(() => import("./upkeep.js"));
/** The refresh: begun with a session's first use, so that it is there on the day when the files it came from are gone. */
export const refreshing = /* @__PURE__ */ lazily(() => import("./refresh.js"));
/** What takes the place of what a browser lacks: there before anything else is asked of such a browser. */
export const fallbacks = /* @__PURE__ */ lazily(() => import("./keep/fallbacks.js"));
/** Evertoken's server, where it puts both tokens into the body. */
export const bodies = /* @__PURE__ */ lazily(() => import("./decide/body_speech.js"));
/** The reader of dialects. */
export const dialects = /* @__PURE__ */ lazily(() => import("./decide/dialect.js"));
