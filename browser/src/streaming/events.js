// @ts-check
/** Server-sent events by fetch, with the access token in a header. */

import { retryAfter } from "../decide/answers.js";
import { SessionError } from "../errors.js";
import { EventStreamParser } from "./event_stream.js";
import { Line, StreamError, target, tell } from "./line.js";

/** @typedef {import("../session.js").Session} Session */
/** @typedef {import("./event_stream.js").ServerEvent} ServerEvent */
/**
 * @typedef {object} EventsOptions
 * @property {(event: ServerEvent) => void} [onmessage] every event, whatever its type
 * @property {(response: Response) => void} [onopen] each time the stream is open
 * @property {import("./line.js").OnError} [onerror] lost and to be opened again, or over
 * @property {AbortSignal} [signal]
 * @property {string} [lastEventId] where an earlier stream was left
 * @property {HeadersInit} [headers]
 * @property {number} [silenceSeconds] a stream that says nothing for so long, not even a comment, counts as lost; no
 *   limit unless it is named, for not every server says something
 */
/**
 * @typedef {object} Events
 * @property {() => void} close
 * @property {Promise<?Error>} closed resolves when it is over: null where you closed it or the server was done (204)
 * @property {string} lastEventId
 */

/** What a server or proxy says that cannot now, but may soon. @param {number} status */
const isPassing = (status) => status >= 500 || [408, 425, 429].includes(status);

/**
 * Read a stream of server-sent events until it is closed or the session is over.
 * @param {Session} session
 * @param {string | URL} url relative to the session's base URL; one of the session's origins
 * @param {EventsOptions} [options]
 * @returns {Events}
 * @throws {TypeError} the URL is not the session's, or carries a token
 */
export function openEvents(session, url, options = {}) {
  const { onmessage, onopen, onerror, signal, headers, silenceSeconds = Infinity } = options;
  const href = target(session, url, false);
  let lastEventId = options.lastEventId ?? "";
  const line = new Line(session, { signal, onerror, connect: async (_, ending) => {
    const asked = new Headers(headers);
    asked.set("Accept", "text/event-stream");
    if (lastEventId) asked.set("Last-Event-ID", inLatin1(lastEventId));
    const silence = new Silence(silenceSeconds, ending);
    try {
      const response = await session.fetch(href, { headers: asked, cache: "no-store", signal: silence.signal });
      silence.broken();
      if (response.status === 204) return "over";
      await demandStream(response);
      ending.throwIfAborted();
      tell(onopen, response);
      const parser = new EventStreamParser(lastEventId);
      const reader = /** @type {ReadableStream<Uint8Array>} */ (response.body).getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) throw new StreamError("stream_lost", "the server has ended the stream");
        silence.broken();
        line.proved();
        for (const event of parser.feed(value)) {
          if (ending.aborted) return "over";
          ({ lastEventId } = event);
          tell(onmessage, event);
        }
        lastEventId = parser.lastEventId;
        line.retryMs = parser.retryMs ?? line.retryMs;
      }
    } catch (error) {
      throw silence.signal.aborted && !ending.aborted ? silence.signal.reason : lost(error);
    } finally {
      silence.stop();
    }
  } });
  return {
    close: () => line.end(),
    closed: line.closed,
    get lastEventId() {
      return lastEventId;
    },
  };
}

/** Ends a connection that has been silent for too long, and with whatever else ends it. */
class Silence {
  #controller = new AbortController();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #waiting;

  /** @param {number} seconds @param {AbortSignal} ending */
  constructor(seconds, ending) {
    this.seconds = seconds;
    this.ending = ending;
    this.signal = this.#controller.signal;
    ending.addEventListener("abort", this.stop);
    this.broken();
  }

  broken() {
    clearTimeout(this.#waiting);
    if (this.seconds === Infinity) return;
    const silent = () =>
      this.#controller.abort(new StreamError("stream_lost", `the stream has been silent for ${this.seconds} s`));
    this.#waiting = setTimeout(silent, this.seconds * 1000);
  }

  /** No bytes are wanted any more: the connection is let go. */
  stop = () => {
    clearTimeout(this.#waiting);
    this.ending.removeEventListener("abort", this.stop);
    this.#controller.abort(this.ending.reason);
  };
}

/** @param {Response} response @throws {StreamError} it is no stream of events */
async function demandStream(response) {
  const { status, headers } = response;
  const type = headers.get("Content-Type") ?? "";
  if (status === 200 && /^\s*text\/event-stream\s*(;|$)/i.test(type) && response.body) return;
  const isLost = isPassing(status);
  const told = status === 200 ? `answered with ${type || "no type"} instead of text/event-stream` : `answered with ${status}`;
  const more = { status, retryAfterSeconds: retryAfter(headers.get("Retry-After")) };
  throw new StreamError(isLost ? "stream_lost" : "stream_refused", `the stream was ${told}`, more);
}

/** An error of fetch is a loss; those that say more are kept. @param {any} error */
const lost = (error) => {
  if (error instanceof StreamError || error instanceof SessionError) return error;
  if (error instanceof RangeError) return new StreamError("stream_refused", error.message, { cause: error });
  return new StreamError("stream_lost", `the stream was lost: ${error?.message}`, { cause: error });
};

/** A header's bytes are written as characters up to 255; an id is UTF-8. @param {string} text */
const inLatin1 = (text) => Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join("");
