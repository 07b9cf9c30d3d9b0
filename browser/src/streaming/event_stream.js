// @ts-check
/**
 * Reading a stream of server-sent events, as the HTML standard says (§9.2.6). Pure: bytes in, events out.
 *
 * @typedef {{type: string, data: string, lastEventId: string}} ServerEvent
 */

/** An event that is longer than this is not one: it would be read into memory without end. Characters. */
const LONGEST_EVENT = 8 * 1024 * 1024;

export class EventStreamParser {
  /** Where the stream is: what a reconnection sends as Last-Event-ID. */
  lastEventId;
  /** How long to wait before a reconnection, where the server has said so. @type {?number} */
  retryMs = null;
  // Takes away a byte order mark, and keeps the half of a character until the other half comes.
  #decoder = new TextDecoder();
  #line = "";
  #isAfterCR = false;
  #data = "";
  #type = "";
  #id;

  /** @param {string} [lastEventId] where the stream before this one was left */
  constructor(lastEventId = "") {
    this.lastEventId = lastEventId;
    this.#id = lastEventId;
  }

  /**
   * The events that are complete with these bytes. What is not complete at the stream's end is no event.
   * @param {Uint8Array} bytes
   * @returns {ServerEvent[]}
   * @throws {RangeError} an event is longer than 8 Mi characters
   */
  feed(bytes) {
    let text = this.#decoder.decode(bytes, { stream: true });
    /** @type {ServerEvent[]} */
    const events = [];
    if (text === "") return events;
    // The line has ended with its CR already, so that its event need not wait for the LF.
    if (this.#isAfterCR && text[0] === "\n") text = text.slice(1);
    this.#isAfterCR = text === "" ? false : text.endsWith("\r");
    let start = 0;
    for (const { 0: end, index } of text.matchAll(/\r\n?|\n/g)) {
      const line = this.#line + text.slice(start, index);
      this.#line = "";
      start = index + end.length;
      const event = line === "" ? this.#dispatch() : this.#field(line);
      if (event) events.push(event);
    }
    this.#line += text.slice(start);
    if (this.#line.length + this.#data.length > LONGEST_EVENT) {
      throw new RangeError(`an event of the stream is longer than ${LONGEST_EVENT} characters`);
    }
    return events;
  }

  /** @param {string} line @returns {void} */
  #field(line) {
    const colon = line.indexOf(":");
    if (colon === 0) return;
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "data") this.#data += `${value}\n`;
    if (name === "event") this.#type = value;
    if (name === "id" && !value.includes("\0")) this.#id = value;
    if (name === "retry" && /^[0-9]+$/.test(value)) this.retryMs = Number(value);
  }

  /** @returns {?ServerEvent} */
  #dispatch() {
    this.lastEventId = this.#id;
    const data = this.#data.slice(0, -1);
    const isEvent = this.#data !== "";
    const type = this.#type || "message";
    this.#data = "";
    this.#type = "";
    return isEvent ? { type, data, lastEventId: this.lastEventId } : null;
  }
}
