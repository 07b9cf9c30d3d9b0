// @ts-check
/** What the demo says, in English. */

/** @param {number} count @param {string} one @param {string} many */
const counted = (count, one, many) => `${count} ${count === 1 ? one : many}`;

/** @type {import("../../i18n.js").Texts} */
export const en = {
  "demo.guest": "Everything is filled in: press Sign in. The dashboard then stays signed in for as long as you like.",
  "demo.intro": ({ access_seconds }) =>
    `Six tiles ask for new figures every few seconds; an access token lives ${access_seconds}\u00a0s. Try to make them fail.`,
  "demo.actions": "Things to try",

  "demo.tile.orders": "Orders",
  "demo.tile.queue": "Queue",
  "demo.tile.temperature": "Server room",
  "demo.tile.visitors": "Last visitors",
  "demo.tile.sales": "Sales",
  "demo.tile.clock": "Server time",
  "demo.tile.offline": "No connection",
  "demo.tile.failed": "No answer",
  "demo.unit.orders": "a minute",
  "demo.unit.queue": "waiting",
  "demo.unit.celsius": "°C",
  "demo.unit.seconds": (seconds) => `${seconds}\u00a0s ago`,
  "demo.unit.sales": "this minute",
  "demo.unit.clock": "as the server tells it",

  "demo.do.burst": "50 requests, expired token",
  "demo.does.burst": "The token expires and 50 requests go out at once: 50 refused, one refresh, 50 sent again.",
  "demo.do.fire": "50 requests at once",
  "demo.does.fire": "With the token as it is: nothing waits, unless it is just being renewed.",
  "demo.do.expire": "Expire the access token",
  "demo.does.expire": "The next request gets a 401, one refresh runs, and the request is sent again.",
  "demo.do.lose": "Lose the refresh answer",
  "demo.does.lose": "The server renews, but its answer never arrives. The client asks again; you stay signed in.",
  "demo.do.offline": "Go offline",
  "demo.does.offline": "All tabs lose the network. The tiles stand still; nobody is signed out.",
  "demo.do.online": "Go online again",
  "demo.does.online": "The network comes back, and the tiles go on where they were.",
  "demo.do.tab": "Open another tab",
  "demo.does.tab": "It gets a lane of its own below. All tabs share one sign-in and one refresh.",
  "demo.do.thief": "Let a thief copy the token",
  "demo.does.thief": "Somebody copies your refresh token and uses it elsewhere. See who is shut out.",
  "demo.do.elsewhere": "End this session elsewhere",
  "demo.does.elsewhere": "Another device signs in as you and ends this session: every tab here is signed out.",

  "demo.timeline.title": "Timeline of all tabs",
  "demo.timeline.lead": "The last 30 seconds. Numbers count what happened together; a blue line is a refresh, one for all tabs; a dashed line is what you did.",
  "demo.timeline.picture": "A picture of the last 30 seconds, tab by tab. The list below it says the same in words.",
  "demo.timeline.now": "now",
  "demo.timeline.ago": (seconds) => `${seconds}\u00a0s ago`,
  "demo.timeline.tab": (tab) => `Tab ${tab}`,
  "demo.timeline.thisTab": (tab) => `Tab ${tab} · this one`,
  "demo.row.requests": "sent",
  "demo.row.refused": "refused (401)",
  "demo.row.refresh": "refresh",
  "demo.row.waited": "waited",
  "demo.row.again": "sent again",
  "demo.counter.requests": "requests",
  "demo.counter.refused": "refused (401)",
  "demo.counter.refreshes": "refreshes",
  "demo.counter.again": "sent again",
  "demo.counter.failed": "failures a user would see",
  "demo.mark.expired": "token expired",
  "demo.mark.lose": "answer to be lost",
  "demo.mark.offline": "offline",
  "demo.mark.online": "online",
  "demo.mark.signed_out": "signed out",
  "demo.mark.stolen": "token copied",
  "demo.mark.thief_granted": "thief was let in",
  "demo.mark.ended_elsewhere": "ended elsewhere",

  "demo.story.title": "In words",
  "demo.story.refused": ({ tab, refused, waited, again, failed, took }) =>
    `${counted(refused, "request was", "requests were")} refused. Tab ${tab} made one refresh (${took}\u00a0ms), ` +
    `${waited} waited for it, ${again} sent again, ${failed} failed.`,
  "demo.story.renewed": ({ tab, waited, took }) =>
    `Tab ${tab} renewed the token before it ended (${took}\u00a0ms). ` +
    (waited ? `${counted(waited, "request", "requests")} waited.` : "No request noticed."),
  "demo.story.lost": ({ tab, calls, waited, failed }) =>
    `The answer to a refresh was lost. Tab ${tab} asked again (${calls} calls): still signed in. ${waited} waited, ${failed} failed.`,
  "demo.story.unanswered": ({ tab }) => `Tab ${tab} could not reach the server to renew the token. Nobody is signed out.`,
  "demo.story.toldToWait": ({ tab }) => `The server told tab ${tab} to wait: a newer token has been used.`,
  "demo.story.refreshRefused": ({ tab }) => `The server refused tab ${tab} a refresh: the session is over.`,
  "demo.told.opened": (tab) => `Tab ${tab} was opened.`,
  "demo.told.closed": (tab) => `Tab ${tab} was closed.`,
  "demo.told.fired": (good, all, tab) => `Tab ${tab} sent ${all} requests at once: ${good} were answered.`,
  "demo.told.expired": () => "The access token was made to expire.",
  "demo.told.lose": (tab) => `The next answer to a refresh of tab ${tab} will be lost.`,
  "demo.told.offline": () => "All tabs are offline.",
  "demo.told.online": () => "All tabs are online again.",
  "demo.told.stolen": () => "A thief copied the refresh token.",
  "demo.told.thief_granted": () => "The thief presented the copy and was given an access token.",
  "demo.told.ended_elsewhere": () => "Another device ended this session.",

  "demo.thief.title": "A thief has your refresh token",
  "demo.thief.copied": () => "Your token was copied at the server. No script could do it: the cookie is hidden from pages.",
  "demo.thief.goesOn": ({ renewals, maturity_seconds }) =>
    `You go on, and your tab renews (${counted(renewals, "time", "times")} so far). The copy dies when you use the token ` +
    `that came after it; one counts once it is ${maturity_seconds}\u00a0s old, so that no late answer signs anybody out.`,
  "demo.thief.dead": ({ overlap_seconds }) =>
    `You have used a newer token: the copy is dead. For ${overlap_seconds}\u00a0s more it passes for a late message.`,
  "demo.thief.hasty": ({ isIn }) =>
    isIn
      ? "The thief was quick and got an access token. Now two parties renew one session: the first collision ends it."
      : "The thief uses the copy at once.",
  "demo.thief.done": () => "The thief presents the copy.",
  "demo.thief.useNow": "Let the thief use it now",
  "demo.thief.countdown": (seconds) => `About ${seconds}\u00a0s until the copy is worth nothing.`,
  "demo.thief.countdownHasty": (seconds) => `In about ${seconds}\u00a0s the thief renews again.`,
  "demo.thief.shutOut": (reason) =>
    `Refused (${reason}). The server cannot know which of the two is you, so it ended the session for both. ` +
    "The thief has nothing left. You sign in again with your password, which the thief does not have.",
  "demo.thief.shutOutHasty": (reason) =>
    `Over (${reason}). The thief was in for a moment; as soon as the two had gone different ways, a token gave that away, ` +
    "and the session ended for both. You sign in again with your password, which the thief does not have.",
  "demo.thief.gone": (reason) => `The thief is refused: the session was over already (${reason}).`,
  "demo.thief.lost": "Nobody is signed in with the stolen session any more: there is nothing left to follow.",
  "demo.thief.close": "Close",
};
