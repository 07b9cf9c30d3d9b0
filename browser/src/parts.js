// @ts-check
/** The parts of the client that not every page needs. A page that is signed in and sends requests loads none of them. */

import { lazily } from "./waits.js";

/** Sign-in, sign-out, and the question to the server who is signed in. */
export const account = /* @__PURE__ */ lazily(() => import("./account.js"));
/** What takes the place of what a browser lacks. */
export const fallbacks = /* @__PURE__ */ lazily(() => import("./keep/fallbacks.js"));
/** The reader of dialects. */
export const dialects = /* @__PURE__ */ lazily(() => import("./decide/dialect.js"));
