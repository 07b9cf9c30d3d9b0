// @ts-check
/** The types of the packed package, as a strict TypeScript program sees them. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { test } from "node:test";

import { packed } from "./support/pack.js";

const TSC = createRequire(import.meta.url).resolve("typescript/package.json").replace("package.json", "bin/tsc");
const USE = readFileSync(new URL("./fixtures/use.ts", import.meta.url), "utf8");

/** Compile a program against the package, and return what the compiler complains of. @param {string} source @param {string[]} options */
function complaints(source, options) {
  const { program } = packed();
  writeFileSync(path.join(program, "use.ts"), source);
  const args = [TSC, "--ignoreConfig", "--noEmit", "--strict", "--exactOptionalPropertyTypes", ...options];
  const lib = ["--lib", "ES2023,DOM,DOM.Iterable", "--target", "ES2022", "--types", "react", "use.ts"];
  const { stdout, stderr, status } = spawnSync(process.execPath, [...args, ...lib], { cwd: program, encoding: "utf8" });
  assert.equal(stderr, "");
  assert.ok(status === 0 || stdout.includes("error TS"), `the compiler ended with ${status}: ${stdout}`);
  return stdout.split("\n").filter((line) => line.includes("error TS"));
}

for (const resolution of ["NodeNext", "Bundler"]) {
  const options = resolution === "Bundler" ? ["--module", "ESNext", "--moduleResolution", "Bundler"] : ["--module", "NodeNext"];

  test(`a strict TypeScript program that resolves as ${resolution} compiles, and its slips are found`, () => {
    assert.deepEqual(complaints(USE, options), []);
  });
}

test("each slip of that program is found on its own line", () => {
  const slips = USE.split("\n").flatMap((line, at) => (line.includes("@ts-expect-error") ? [at + 2] : []));
  const found = complaints(USE.replaceAll("@ts-expect-error", "not ignored:"), ["--module", "NodeNext"]);
  const lines = found.map((line) => Number(/use\.ts\((\d+),/.exec(line)?.[1]));
  assert.deepEqual([...new Set(lines)], slips, found.join("\n"));
});
