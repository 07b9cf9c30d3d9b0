/** evertoken's fake server in a process of its own. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import path from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

import { within } from "./within.js";

const ROOT = fileURLToPath(new URL("../../../../", import.meta.url));
export const PYTHON = process.env.EVERTOKEN_PYTHON ?? path.join(ROOT, ".venv/bin/python");

/** The fake server, told what to do over its standard input. */
export class Server {
  static async start(settings) {
    const server = new Server();
    const env = { ...process.env, PYTHONPATH: path.join(ROOT, "src") };
    const script = fileURLToPath(new URL("server.py", import.meta.url));
    server.process = spawn(PYTHON, [script, JSON.stringify(settings)], { env, stdio: ["pipe", "pipe", "inherit"] });
    server.lines = createInterface({ input: server.process.stdout })[Symbol.asyncIterator]();
    server.url = new URL((await within("the fake server's address", server.lines.next())).value);
    return server;
  }

  async tell(what, more = {}) {
    this.process.stdin.write(`${JSON.stringify({ do: what, ...more })}\n`);
    const { value, done } = await within(`the fake server's answer to ${what}`, this.lines.next(), 40);
    assert.ok(!done, `the fake server did not survive ${what}`);
    return JSON.parse(value);
  }

  expire = () => this.tell("expire");
  /** Let seconds pass for the server. */
  move = (seconds) => this.tell("move", { seconds });
  end = (reason) => this.tell("end", { reason });
  script = (...faults) => this.tell("script", { faults });
  hold = () => this.tell("hold");
  awaitHeld = (count = 1) => this.tell("await_held", { count });
  release = () => this.tell("release");
  refreshes = async () => (await this.tell("count")).refreshes;
  reuses = async () => (await this.tell("count")).reuses;

  stop() {
    const ended = new Promise((resolve) => this.process.once("exit", resolve));
    this.process.stdin.end();
    return ended;
  }
}
