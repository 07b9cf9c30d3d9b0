/** A real `evertoken demo` in a process of its own, with a data folder and a port of its own. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";

import { PYTHON, ROOT } from "../support/stage.js";

const READY_WITHIN_MS = 60_000;
const COMMAND = "import sys; from evertoken.cli import main; sys.exit(main())";

/** A port that nobody listens on now. */
function freePort() {
  return new Promise((resolve, reject) => {
    const probe = net.createServer();
    probe.once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

/**
 * Start a demo; whoever starts it stops it.
 * @param {string[]} flags of the command
 * @returns {Promise<{url: string, printed: () => string, stop: () => Promise<void>}>}
 */
export async function startDemo(...flags) {
  const port = await freePort();
  const folder = mkdtempSync(path.join(os.tmpdir(), "evertoken-demo-"));
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith("EVERTOKEN_"));
  const env = { ...Object.fromEntries(own), PYTHONPATH: path.join(ROOT, "src"), PYTHONUNBUFFERED: "1" };
  const command = ["-c", COMMAND, "demo", "--port", String(port), "--data", folder, ...flags];
  const child = spawn(PYTHON, command, { env, stdio: ["ignore", "pipe", "pipe"] });
  let printed = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => void (printed += chunk));
  const ended = new Promise((resolve) => child.once("exit", resolve));
  const stop = async () => {
    child.kill("SIGTERM");
    await ended;
    rmSync(folder, { recursive: true, force: true });
  };
  const url = `http://localhost:${port}`;
  const giveUpAt = Date.now() + READY_WITHIN_MS;
  while (!(await isReady(url))) {
    if (child.exitCode !== null || Date.now() > giveUpAt) {
      await stop();
      assert.fail(`the demo did not start:\n${printed.slice(-1500)}`);
    }
  }
  return { url, printed: () => printed, stop };
}

/** Asked anew after a while: there is nothing to listen to before it listens. */
async function isReady(url) {
  try {
    return (await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(5000) })).ok;
  } catch {
    await new Promise((resolve) => setTimeout(resolve, 50));
    return false;
  }
}
