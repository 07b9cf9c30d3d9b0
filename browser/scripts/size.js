// @ts-check
/**
 * Prints what the given entries weigh together in a bundle: node scripts/size.js src/core.js
 *
 * What they import by `import()` is left out, for a page loads it when it first needs it, or never; with `--later` it is
 * what is weighed, each part as what comes on top; with `--modules` each module's share is told, too.
 */

import { resolve } from "node:path";
import { gzipSync } from "node:zlib";

import { build } from "esbuild";

const isLater = process.argv.includes("--later");
const isByModule = process.argv.includes("--modules");
const entries = process.argv.slice(2).filter((each) => !each.startsWith("--"));
if (!entries.length) throw new Error("which files? For example: node scripts/size.js src/index.js");

/** Modules that are loaded by `import()`, by their absolute paths. @type {Set<string>} */
const later = new Set();
/** @type {import("esbuild").Plugin} */
const leftOut = {
  name: "left out",
  setup: ({ onResolve }) =>
    onResolve({ filter: /^\./ }, ({ kind, path, resolveDir }) => {
      if (kind !== "dynamic-import") return undefined;
      later.add(resolve(resolveDir, path));
      return { path, external: true };
    }),
};

/**
 * @param {string[]} files
 * @returns {Promise<[number, number, [string, number][]]>} minified, gzip -9 of that, and its modules minified
 */
async function weighed(files) {
  const contents = files.map((file) => `export * from ${JSON.stringify(resolve(file))};`).join("\n");
  const { outputFiles, metafile } = await build({
    stdin: { contents, resolveDir: process.cwd() },
    bundle: true,
    minify: true,
    format: "esm",
    target: "esnext",
    // An application has the frameworks already.
    external: ["react", "vue"],
    plugins: [leftOut],
    metafile: true,
    write: false,
  });
  const [{ contents: bundled }] = outputFiles;
  const modules = Object.entries(Object.values(metafile.outputs)[0].inputs).map(([name, { bytesInOutput }]) => {
    return /** @type {[string, number]} */ ([name.slice(name.lastIndexOf("/src/") + 1), bytesInOutput]);
  });
  return [bundled.length, gzipSync(bundled, { level: 9 }).length, modules];
}

const [minified, gzipped, modules] = await weighed(entries);
console.log(`${minified} bytes minified, ${gzipped} bytes gzip -9`);
if (isByModule) {
  for (const [name, bytes] of modules.sort(([, one], [, other]) => other - one)) {
    if (bytes) console.log(`${name}: ${bytes}, about ${Math.round((bytes / minified) * gzipped)} gzip -9`);
  }
}
if (isLater) {
  for (const part of [...later].sort()) {
    const [more, moreGzipped] = await weighed([...entries, part]);
    console.log(`${part.slice(part.lastIndexOf("/src/") + 1)}: ${more - minified} more, ${moreGzipped - gzipped} gzip -9`);
  }
}
