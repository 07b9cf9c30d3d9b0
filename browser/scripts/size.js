// @ts-check
/** Prints what the given entries weigh together in a bundle: node scripts/size.js src/index.js */

import { resolve } from "node:path";
import { gzipSync } from "node:zlib";

import { build } from "esbuild";

const entries = process.argv.slice(2);
if (!entries.length) throw new Error("which files? For example: node scripts/size.js src/index.js");

const { outputFiles } = await build({
  stdin: {
    contents: entries.map((entry) => `export * from ${JSON.stringify(resolve(entry))};`).join("\n"),
    resolveDir: process.cwd(),
  },
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  // An application has them already.
  external: ["react", "vue"],
  write: false,
});
const [{ contents }] = outputFiles;
console.log(`${contents.length} bytes minified, ${gzipSync(contents, { level: 9 }).length} bytes gzip -9`);
