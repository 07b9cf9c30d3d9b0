// @ts-check
/** What is weaker where a browser, a page or an API lacks something, in words. */

/** @type {Record<string, string>} */
const WEAKER = {
  "no storage": "a reload asks the server anew, or signs out",
  "no Web Locks": "tabs take turns by marks in their storage; this is no secure context",
  "no BroadcastChannel": "a tab learns of a sign-out elsewhere with its next refresh",
  "a token header of its own": "browsers send it along where your API redirects to an origin that allows it",
};

/**
 * Say that something is weaker than it should be: in the session's list, and as an event.
 * @param {import("../session.js").Session} session
 * @param {string} what
 * @param {string} [more]
 */
export function lack(session, what, more = "") {
  const message = what + more + (WEAKER[what] ? `: ${WEAKER[what]}` : "");
  session.weaknesses.push(message);
  session.tell("weaker", { what, message });
}
