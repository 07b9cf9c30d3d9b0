// @ts-check
/** The demo's tabs: each has a number, tells the others what happens in it, and hears what happens in them. */

/** @typedef {import("./log.js").Happened} Happened */
/** @typedef {import("./log.js").Counters} Counters */
/** @typedef {{events: Happened[], counters: Counters, isOffline: boolean}} Snapshot */
/**
 * @typedef {{hello: string} | {here: string, number: number, snapshot?: Snapshot, to?: string}
 *   | {bye: string, number: number} | {events: Happened[]} | {isOffline: boolean}} Notice
 */
/**
 * @typedef {object} Hearing
 * @property {(event: Happened) => void} happened here or in another tab
 * @property {() => Snapshot} snapshot for a tab that has just been opened
 * @property {(snapshot: Snapshot) => void} takeOver
 * @property {(number: number) => void} left a tab was closed, or loaded again
 * @property {(isOffline: boolean) => void} line is down, or up again: it is the same for all tabs
 */

/** How long a new tab listens for the others before it takes a number. */
const LISTEN_MS = 200;

export class Tabs {
  /** Of this page; another one when it is loaded again. */
  #id = crypto.randomUUID();
  #channel = new BroadcastChannel("evertoken-demo");
  /** The numbers of the other tabs, by id. @type {Map<string, number>} */
  #others = new Map();
  /** @type {Happened[]} */
  #unsent = [];
  #isFlushing = false;

  /** This tab's number, from 1; 0 before it has one. */
  number = 0;

  /** @param {Hearing} hearing */
  constructor(hearing) {
    this.hearing = hearing;
    this.#channel.addEventListener("message", ({ data }) => this.#heard(data));
    addEventListener("pagehide", () => this.#tell({ bye: this.#id, number: this.number }));
    addEventListener("pageshow", (event) => event.persisted && this.#tell({ here: this.#id, number: this.number }));
  }

  /** A short name that no other page of this demo has. */
  get name() {
    return `${this.number}-${this.#id.slice(0, 4)}`;
  }

  /** Find out which tabs there are, and take the least number that is free. */
  async join() {
    this.#tell({ hello: this.#id });
    await new Promise((resolve) => setTimeout(resolve, LISTEN_MS));
    this.#takeNumber();
  }

  /** The numbers of the tabs that are open, this one's too. */
  get open() {
    return [this.number, ...this.#others.values()].sort((one, other) => one - other);
  }

  /** @param {Happened} event of this tab */
  happened(event) {
    this.hearing.happened(event);
    this.#unsent.push(event);
    if (this.#isFlushing) return;
    this.#isFlushing = true;
    // What happens at once goes out together. Not by a timer, for those of a hidden tab come late.
    queueMicrotask(() => {
      this.#isFlushing = false;
      this.#tell({ events: this.#unsent.splice(0) });
    });
  }

  /** @param {boolean} isOffline */
  tellLine(isOffline) {
    this.#tell({ isOffline });
  }

  #takeNumber() {
    const taken = new Set(this.#others.values());
    let free = 1;
    while (taken.has(free)) free += 1;
    this.number = free;
    this.#tell({ here: this.#id, number: free });
  }

  /** @param {Notice} notice */
  #heard(notice) {
    if ("hello" in notice) this.#greet(notice.hello);
    if ("here" in notice) this.#isHere(notice);
    if ("bye" in notice) {
      this.#others.delete(notice.bye);
      this.hearing.left(notice.number);
    }
    if ("events" in notice) notice.events.forEach(this.hearing.happened);
    if ("isOffline" in notice) this.hearing.line(notice.isOffline);
  }

  /** @param {string} to */
  #greet(to) {
    if (this.number === 0) return;
    // One answer is enough for what has happened so far; every tab says its number.
    const isEldest = this.number === this.open[0];
    const snapshot = isEldest ? this.hearing.snapshot() : undefined;
    this.#tell({ here: this.#id, number: this.number, snapshot, to });
  }

  /** @param {{here: string, number: number, snapshot?: Snapshot, to?: string}} notice */
  #isHere({ here, number, snapshot, to }) {
    this.#others.set(here, number);
    if (snapshot && to === this.#id) this.hearing.takeOver(snapshot);
    // Two tabs that were opened at once have taken the same number.
    if (number === this.number && here < this.#id) this.#takeNumber();
  }

  /** @param {Notice} notice */
  #tell(notice) {
    this.#channel.postMessage(notice);
  }
}
