// @ts-check
/** As much of a WebSocket server (RFC 6455) as these tests need: text frames in one piece, and closing. */

import { createHash } from "node:crypto";

/** @typedef {import("node:http").IncomingMessage} IncomingMessage */

const TEXT = 1;
const CLOSE = 8;

/** One socket, from the server's side. */
export class ServerSocket {
  /** What the page has said, in order. @type {string[]} */
  said = [];
  /** The page's close code, once it has said one; 1006 if the connection just ended. @type {?number} */
  closedWith = null;
  #kept = Buffer.alloc(0);
  #changed = () => {};

  /**
   * @param {IncomingMessage} request
   * @param {import("node:stream").Duplex} connection
   */
  constructor(request, connection) {
    this.url = request.url ?? "";
    this.protocols = (request.headers["sec-websocket-protocol"] ?? "").split(", ").filter(Boolean);
    this.headers = request.headers;
    this.connection = connection;
    this.key = request.headers["sec-websocket-key"] ?? "";
    connection.on("data", (/** @type {Buffer} */ bytes) => this.#take(bytes));
    connection.on("end", () => connection.end());
    connection.on("error", () => connection.destroy());
    connection.on("close", () => {
      this.closedWith ??= 1006;
      this.#changed();
    });
  }

  /** Answer the handshake, with the first of the protocols that carries no token, if there are any. */
  accept() {
    const accepted = createHash("sha1").update(`${this.key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
    const [protocol] = this.protocols;
    const lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"];
    lines.push(`Sec-WebSocket-Accept: ${accepted}`);
    if (protocol) lines.push(`Sec-WebSocket-Protocol: ${protocol}`);
    this.connection.write(`${lines.join("\r\n")}\r\n\r\n`);
    return this;
  }

  /** Wait until the page has said so much, or has gone. @param {number} count */
  async heard(count) {
    await this.#until(() => this.said.length >= count);
    return this.said;
  }

  async gone() {
    await this.#until(() => this.closedWith !== null);
    return this.closedWith;
  }

  /** @param {string} text */
  send(text) {
    this.#write(TEXT, Buffer.from(text));
  }

  /** @param {number} code */
  close(code) {
    const body = Buffer.alloc(2);
    body.writeUInt16BE(code);
    this.#write(CLOSE, body);
    this.connection.end();
  }

  /** The connection breaks without a word. */
  drop() {
    this.connection.destroy();
  }

  /** @param {number} kind @param {Buffer} body */
  #write(kind, body) {
    const head = body.length < 126 ? [0x80 | kind, body.length] : [0x80 | kind, 126, body.length >> 8, body.length & 255];
    if (this.connection.writable) this.connection.write(Buffer.concat([Buffer.from(head), body]));
  }

  /** @param {Buffer} bytes */
  #take(bytes) {
    this.#kept = Buffer.concat([this.#kept, bytes]);
    for (;;) {
      const kept = this.#kept;
      if (kept.length < 2) return;
      const short = kept[1] & 0x7f;
      const start = short === 126 ? 4 : 2;
      if (kept.length < start) return;
      const length = short === 126 ? kept.readUInt16BE(2) : short;
      const end = start + 4 + length;
      if (kept.length < end) return;
      const mask = kept.subarray(start, start + 4);
      const body = Buffer.from(kept.subarray(start + 4, end).map((byte, at) => byte ^ mask[at % 4]));
      this.#kept = kept.subarray(end);
      const kind = kept[0] & 0x0f;
      if (kind === TEXT) this.said.push(body.toString());
      if (kind === CLOSE) {
        this.closedWith ??= body.length >= 2 ? body.readUInt16BE(0) : 1005;
        this.#write(CLOSE, body.subarray(0, 2));
        this.connection.end();
      }
      this.#changed();
    }
  }

  /** @param {() => boolean} isSo */
  async #until(isSo) {
    const late = AbortSignal.timeout(10_000);
    while (!isSo()) {
      await new Promise((resolve, reject) => {
        this.#changed = () => resolve(null);
        late.addEventListener("abort", () => reject(new Error(`waited in vain; said: ${JSON.stringify(this.said)}`)));
      });
    }
  }
}
