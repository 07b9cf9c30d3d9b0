/** One origin for a page, the client's modules and the fake server behind them, with a record of what went by. */

import { readFile } from "node:fs/promises";
import http from "node:http";
import http2 from "node:http2";

const SOURCES = new URL("../../../src/", import.meta.url);
const PAGE = `<!doctype html><title>evertoken</title><script type="module">
  import * as evertoken from "/client/index.js";
  window.evertoken = evertoken;
  window.begin = (settings) => {
    window.events = [];
    window.session = evertoken.createSession({ delivery: "body", ...settings });
    session.addEventListener("signedout", ({ reason }) => events.push(reason));
  };
  window.tell = (error) => ({
    name: error.name, code: error.code, reason: error.reason, message: error.message,
    retryAfterSeconds: error.retryAfterSeconds, response: error.response?.status,
  });
  window.ask = async (path, init) => {
    try {
      const response = await session.fetch(path, init);
      return { status: response.status, ...(await response.json().catch(() => ({}))) };
    } catch (error) {
      return tell(error);
    }
  };
  begin();
  window.isReady = true;
</script>`;

/** Not to be passed on by anyone in between (RFC 9110 §7.6.1), nor to be said at all in HTTP/2. */
const HOP = new Set(["connection", "keep-alive", "transfer-encoding", "host", "http2-settings", "upgrade"]);

const passed = (headers) =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => !name.startsWith(":") && !HOP.has(name)));

export class Front {
  /** What was asked of the server, in order: {method, path, authorization, body}. */
  seen = [];
  /** Where `/away` leads to. */
  away = "";
  #late = [];
  #agent = new http.Agent({ keepAlive: false });

  /** @param {URL} target @param {?{key: string, cert: string}} certificate with one, it speaks HTTP/2 over TLS */
  constructor(target, certificate = null) {
    this.target = target;
    const handle = (request, response) => void this.#handle(request, response).catch(() => response.destroy());
    this.scheme = certificate ? "https" : "http";
    this.server = certificate ? http2.createSecureServer(certificate, handle) : http.createServer(handle);
    this.sockets = new Set();
    this.server.on("connection", (socket) => {
      this.sockets.add(socket);
      socket.on("close", () => this.sockets.delete(socket));
    });
  }

  async listen() {
    await new Promise((resolve) => this.server.listen(0, "127.0.0.1", resolve));
    this.port = this.server.address().port;
    this.url = `${this.scheme}://127.0.0.1:${this.port}`;
    return this;
  }

  close() {
    for (const socket of this.sockets) socket.destroy();
    this.#agent.destroy();
    return new Promise((resolve) => this.server.close(resolve));
  }

  /** What went by for one path. */
  of(path) {
    return this.seen.filter((request) => request.path === path);
  }

  /** Wait until answers to `/late` have come from the server and are kept here. */
  async awaitLate(count) {
    while (this.#late.length < count) await new Promise((resolve) => setTimeout(resolve, 5));
  }

  releaseLate() {
    for (const release of this.#late.splice(0)) release();
  }

  async #handle(request, response) {
    const path = request.url.split("?")[0];
    if (path === "/page") {
      response.setHeader("Content-Type", "text/html");
      return response.end(PAGE);
    }
    if (path.startsWith("/client/")) {
      response.setHeader("Content-Type", "text/javascript");
      return response.end(await readFile(new URL(path.slice("/client/".length), SOURCES)));
    }
    if (path === "/favicon.ico" || path === "/away") {
      response.writeHead(path === "/away" ? 302 : 204, path === "/away" ? { Location: this.away } : {});
      return response.end();
    }
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    this.seen.push({ method: request.method, path, authorization: request.headers.authorization, body });
    const answer = await this.#pass(request, body);
    if (path === "/late" && answer.status === 401) await new Promise((resolve) => this.#late.push(resolve));
    response.writeHead(answer.status, passed(answer.headers));
    response.end(answer.body);
  }

  #pass(request, body) {
    const { hostname: host, port } = this.target;
    const headers = { ...passed(request.headers), "content-length": body.length };
    const options = { host, port, path: request.url, method: request.method, headers, agent: this.#agent };
    return new Promise((resolve, reject) => {
      const onward = http.request(options, async (answer) => {
        try {
          const chunks = [];
          for await (const chunk of answer) chunks.push(chunk);
          resolve({ status: answer.statusCode, headers: answer.headers, body: Buffer.concat(chunks) });
        } catch (error) {
          reject(error);
        }
      });
      onward.on("error", reject);
      onward.end(body);
    });
  }
}

/** Another origin, which lets any page ask anything and remembers what it was told. */
export async function elsewhere(t, status = 200) {
  const seen = [];
  const server = http.createServer((request, response) => {
    if (request.method !== "OPTIONS") seen.push(request.headers);
    const { origin = "*", "access-control-request-headers": asked = "*" } = request.headers;
    response.setHeader("Access-Control-Allow-Origin", origin === "null" ? "*" : origin);
    response.setHeader("Access-Control-Allow-Headers", asked);
    response.setHeader("Access-Control-Allow-Methods", "*");
    response.statusCode = request.method === "OPTIONS" ? 204 : status;
    response.end(request.method === "OPTIONS" ? undefined : "{}");
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${server.address().port}/there`, seen };
}
