// @ts-check
/**
 * Server-sent events and WebSockets of a session: on the same gate as its requests, opened again with a new token, and
 * over when the session is. What EventSource and WebSocket cannot do: send a header, and get hold of a 401.
 */

export { openEvents } from "./streaming/events.js";
export { StreamError } from "./streaming/line.js";
export { openSocket } from "./streaming/sockets.js";
