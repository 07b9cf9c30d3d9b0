// @ts-check
import { attach } from "./axios.js";
import { Session as Core } from "./session.js";

export { adopt } from "./adopting.js";
export { SessionError } from "./errors.js";
export { indexedDBStore, localStorageStore, memoryStore, sessionStorageStore } from "./stores.js";

export class Session extends Core {
  /**
   * Send the requests of an axios instance, 0.21 or later, with the access token, and once more if it was refused.
   * @param {import("./axios.js").AxiosInstance} instance
   * @returns {() => void} detaches it
   * @throws {TypeError} the instance is attached already, or its adapter cannot be had
   */
  attach(instance) {
    return attach(this, instance);
  }
}

/** @param {import("./session.js").Settings} [settings] */
export const createSession = (settings = {}) => new Session(settings);
