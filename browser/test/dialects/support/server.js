// @ts-check
/** evertoken's server in its own process, once for each dialect that a file of tests wants, each with its own clock. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import path from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

import { within } from "../../chromium/support/within.js";

const ROOT = fileURLToPath(new URL("../../../../", import.meta.url));
const PYTHON = process.env.EVERTOKEN_PYTHON ?? path.join(ROOT, ".venv/bin/python");
const SCRIPT = fileURLToPath(new URL("server.py", import.meta.url));

export class Server {
  /** @type {import("node:child_process").ChildProcess | undefined} */
  #process;
  /** @type {AsyncIterator<string> | undefined} */
  #lines;
  /** One command at a time. @type {Promise<unknown>} */
  #turn = Promise.resolve();

  /**
   * Start a server of one dialect.
   * @param {{name: string, dialect: string, issuer: string, page: string, overlap: number}} settings
   * @returns {Promise<number>} its port
   */
  async open(settings) {
    return (await this.tell({ do: "open", ...settings })).port;
  }

  /** @param {Record<string, unknown>} command @returns {Promise<any>} */
  tell(command) {
    const answer = this.#turn.then(() => this.#say(command));
    this.#turn = answer.catch(() => null);
    return answer;
  }

  /** @param {Record<string, unknown>} command */
  async #say(command) {
    if (!this.#process) {
      const env = { ...process.env, PYTHONPATH: path.join(ROOT, "src") };
      this.#process = spawn(PYTHON, [SCRIPT], { env, stdio: ["pipe", "pipe", "inherit"] });
      assert.ok(this.#process.stdout);
      this.#lines = createInterface({ input: this.#process.stdout })[Symbol.asyncIterator]();
    }
    assert.ok(this.#process.stdin && this.#lines);
    this.#process.stdin.write(`${JSON.stringify(command)}\n`);
    const { value, done } = await within(`the server's answer to ${command.do}`, this.#lines.next(), 30);
    assert.ok(!done, `the server did not survive ${command.do}`);
    return JSON.parse(value);
  }

  async stop() {
    const mine = this.#process;
    if (!mine || mine.exitCode !== null) return;
    const ended = new Promise((resolve) => mine.once("exit", resolve));
    mine.stdin?.end();
    await within("the server's end", ended, 25);
  }
}
