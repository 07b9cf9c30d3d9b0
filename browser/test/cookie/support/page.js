/**
 * What a page of these tests holds besides the client. Served as it is. The session's settings stand in the page's
 * address, so that a reload keeps them.
 */

import * as evertoken from "/client/index.js";

const settings = JSON.parse(new URLSearchParams(location.search).get("settings") ?? "{}");
const resource = settings.resource ?? "/api/x";
delete settings.resource;

window.evertoken = evertoken;
window.events = [];
window.session = evertoken.createSession(settings);
for (const type of ["signedout", "signedin", "weaker"]) {
  session.addEventListener(type, ({ reason, isElsewhere, message }) => {
    events.push({ type, ...(reason && { reason }), ...(isElsewhere && { isElsewhere }), ...(message && { message }) });
    dispatchEvent(new Event("told"));
  });
}

window.tell = (error) => ({
  name: error.name, code: error.code, reason: error.reason, message: error.message,
  retryAfterSeconds: error.retryAfterSeconds,
});

window.ask = async (path = resource, init) => {
  try {
    const response = await session.fetch(path, init ?? {});
    return { status: response.status, ...(await response.json().catch(() => ({}))) };
  } catch (error) {
    return tell(error);
  }
};

/** Until an event of this type has come. */
window.heard = (type) =>
  new Promise((resolve) => {
    const look = () => events.some((each) => each.type === type) && resolve(events);
    addEventListener("told", look);
    look();
  });

window.isReady = true;
