// @ts-check
/** The same tests for every axios, each with a server of its own and a signed-in session on an instance. */

import { afterEach, beforeEach, describe } from "node:test";

import { attach } from "../../../src/axios.js";
import { createSession, memoryStore } from "../../../src/index.js";
import { Server, VERSIONS } from "./server.js";

/** One axios, and what a test of it stands on. */
class Ground {
  server = new Server();

  /** @param {string} version @param {any} axios */
  constructor(version, axios) {
    this.version = version;
    this.axios = axios;
    this.isOld = version.startsWith("axios0");
  }

  /** A signed-in session, and an instance on it. */
  signedIn = async (/** @type {any} */ dialect = undefined, /** @type {any} */ config = {}) => {
    const { url } = this.server;
    const session = createSession({ baseURL: url, store: memoryStore(), dialect });
    await session.login({ username: "ada", password: "correct-horse-battery" });
    const instance = this.axios.create({ baseURL: url, ...config });
    return { session, instance, detach: attach(session, instance) };
  };

  tokensSeen = () => this.server.seen.map(({ headers }) => headers.authorization);
}

/** @param {(ground: Ground) => void} tests */
export function eachVersion(tests) {
  for (const [version, axios] of VERSIONS) {
    describe(`${version} ${axios.VERSION ?? ""}`, () => {
      const ground = new Ground(version, axios);
      beforeEach(async () => {
        ground.server = await Server.start();
      });
      afterEach(() => ground.server.stop());
      tests(ground);
    });
  }
}

/** As every backend of one request should see it, whichever boundary its parts have. @param {any} seen */
export const essence = ({ method, url, body, headers }) => {
  const type = headers["content-type"] ?? "";
  const boundary = /boundary=(.+)$/.exec(type)?.[1];
  const plain = (/** @type {string} */ text) => (boundary ? text.replaceAll(boundary, "BOUNDARY") : text);
  return { method, url, body: plain(body), type: plain(type), length: headers["content-length"] };
};
