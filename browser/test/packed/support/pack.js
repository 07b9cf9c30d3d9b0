// @ts-check
/** The package as it would be published: packed from a copy of the sources, and installed into a program of its own. */

import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after } from "node:test";
import { fileURLToPath } from "node:url";

const BROWSER = fileURLToPath(new URL("../../../", import.meta.url));
const MODULES = path.join(BROWSER, "node_modules");
/** What the package needs to be packed: the tests stay behind, and a pack of theirs would be seen. */
const COPIED = ["src", "scripts", "test", "driver", "package.json", "README.md", "tsconfig.json"];

const npm = (/** @type {string[]} */ args, /** @type {string} */ cwd) =>
  execFileSync("npm", [...args, "--offline", "--no-audit", "--no-fund", "--no-update-notifier"], {
    cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"],
  });

/**
 * @typedef {object} Packed
 * @property {string[]} files what the tarball holds
 * @property {string} program folder in which the package is installed, beside the frameworks
 * @property {string} root of the installed package
 * @property {any} manifest its package.json
 */

/** @type {Packed | undefined} */
let made;
let scratch = "";

// Out here it is for the whole file; inside of a test it would be for that test.
after(() => scratch && rmSync(scratch, { recursive: true, force: true }));

/** @returns {Packed} made once per test file */
export function packed() {
  if (made) return made;
  scratch = mkdtempSync(path.join(tmpdir(), "evertoken-packed-"));
  const tree = path.join(scratch, "tree", "browser");
  mkdirSync(tree, { recursive: true });
  for (const name of COPIED) cpSync(path.join(BROWSER, name), path.join(tree, name), { recursive: true });
  cpSync(path.join(BROWSER, "../LICENSE"), path.join(scratch, "tree", "LICENSE"));
  symlinkSync(MODULES, path.join(tree, "node_modules"));

  const [{ filename, files }] = JSON.parse(npm(["pack", "--json", "--pack-destination", scratch], tree));
  const program = path.join(scratch, "program");
  mkdirSync(program);
  writeFileSync(path.join(program, "package.json"), JSON.stringify({ name: "program", private: true, type: "module" }));
  npm(["install", "--ignore-scripts", path.join(scratch, filename)], program);
  for (const name of ["react", "react-dom", "vue", "axios", "@types"]) {
    symlinkSync(path.join(MODULES, name), path.join(program, "node_modules", name));
  }
  const root = path.join(program, "node_modules/evertoken");
  const manifest = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8"));
  made = { files: files.map((/** @type {{path: string}} */ file) => file.path).sort(), program, root, manifest };
  return made;
}

/** The names under which a program imports it. @param {Packed} packed */
export const entries = ({ manifest }) =>
  Object.keys(manifest.exports)
    .filter((name) => name !== "./package.json")
    .map((name) => name.replace(/^\./, "evertoken"));
