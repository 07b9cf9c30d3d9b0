// @ts-check
/** What `npm pack` adds to the sources: the types, made from their JSDoc, and the licence. */

import { execFileSync } from "node:child_process";
import { copyFileSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

const at = (/** @type {string} */ path) => fileURLToPath(new URL(`../${path}`, import.meta.url));
const tsc = createRequire(import.meta.url).resolve("typescript/package.json").replace("package.json", "bin/tsc");

/** @type {{exports: Record<string, string | {default: string}>}} */
const { exports } = JSON.parse(readFileSync(at("package.json"), "utf8"));
const entries = Object.values(exports)
  .map((entry) => (typeof entry === "string" ? entry : entry.default))
  .filter((file) => file.endsWith(".js"));

rmSync(at("types"), { recursive: true, force: true });
const options = ["--allowJs", "--checkJs", "--strict", "--declaration", "--emitDeclarationOnly", "--rootDir", "src"];
const target = ["--target", "ES2022", "--lib", "ES2022,DOM,DOM.Iterable", "--module", "NodeNext", "--types", ""];
const args = [tsc, "--ignoreConfig", ...options, ...target, "--outDir", "types", ...entries];
execFileSync(process.execPath, args, { cwd: at("."), stdio: "inherit" });
copyFileSync(at("../LICENSE"), at("LICENSE"));
