// @ts-check
/** What the axios tests stand on: one server with sign-in, refresh and guarded resources, and the axios versions. */

import { createServer } from "node:http";

/** 0.21 and 0.27 have a function for an adapter, 1.6 and the newest its names; 0.21 knows no AbortSignal. */
export const VERSIONS = /** @type {[string, any][]} */ (
  await Promise.all(
    ["axios021", "axios027", "axios16", "axios"].map(async (alias) => {
      const { default: axios } = await import(alias);
      return [alias, axios];
    }),
  )
);

/** The dialect in which every answer has status 200 and the refusal stands in its body. */
export const IN_BODY = { expired: [{ status: 200, body: { "/code": [401] } }] };

export class Server {
  url = "";
  http = createServer(async (request, response) => {
    let body = "";
    request.setEncoding("latin1");
    for await (const chunk of request) body += chunk;
    const [status, answer] = await this.answer(request, body);
    const headers = { "Content-Type": "application/json", ...(status === 307 ? { Location: answer.to } : {}) };
    response.writeHead(status, headers).end(JSON.stringify(answer));
  });
  /** Access tokens that the resources accept. @type {Set<string>} */
  valid = new Set();
  /** What arrived at the resources. @type {{method: string, url: string, headers: any, body: string}[]} */
  seen = [];
  refreshes = 0;
  /** The answer to a refresh waits for it. */
  held = Promise.resolve();
  refusesInBody = false;
  #issued = 0;
  #refreshToken = "";

  static async start() {
    const server = new Server();
    await new Promise((resolve) => server.http.listen(0, "127.0.0.1", () => resolve(null)));
    const { port } = /** @type {import("node:net").AddressInfo} */ (server.http.address());
    server.url = `http://127.0.0.1:${port}`;
    return server;
  }

  stop() {
    this.http.closeAllConnections();
    this.http.close();
  }

  /** Every access token has expired before its time. */
  expire() {
    this.valid.clear();
  }

  /** Keep refreshes waiting; the result lets them go. */
  hold() {
    /** @type {any} */
    let release;
    this.held = new Promise((resolve) => (release = resolve));
    return release;
  }

  /** @param {import("node:http").IncomingMessage} request @param {string} body @returns {Promise<[number, any]>} */
  async answer({ method = "", url = "", headers }, body) {
    if (url === "/auth/login") return [200, this.#tokens()];
    if (url === "/auth/refresh") {
      this.refreshes += 1;
      await this.held;
      const isRight = JSON.parse(body).refresh_token === this.#refreshToken;
      return isRight ? [200, this.#tokens()] : [401, { code: "token_invalid" }];
    }
    this.seen.push({ method, url, headers, body });
    if (url.startsWith("/away?")) return [307, { to: url.slice("/away?".length) }];
    const isGood = this.valid.has((headers.authorization ?? "").replace("Bearer ", "")) && url !== "/never";
    if (isGood) return [200, { code: 0, method, url }];
    return [this.refusesInBody ? 200 : 401, { code: 401, message: "token expired" }];
  }

  #tokens() {
    this.#issued += 1;
    this.#refreshToken = `refresh-${this.#issued}`;
    this.valid.add(`access-${this.#issued}`);
    return { access_token: `access-${this.#issued}`, refresh_token: this.#refreshToken, expires_in: 3600 };
  }
}
