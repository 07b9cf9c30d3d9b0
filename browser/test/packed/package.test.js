// @ts-check
/** What `npm pack` makes: its files, its entries, its weight, and the core stories from them in a real browser. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";

import { build } from "esbuild";

import { heard, skip, stage } from "../streams/support/chromium.js";
import { entries, packed } from "./support/pack.js";

const SOURCES = new URL("../../src/", import.meta.url);
const SIZE = fileURLToPath(new URL("../../scripts/size.js", import.meta.url));
const NAMES = ["", "/core", "/stores", "/axios", "/dialects", "/streams", "/react", "/vue"].map((name) => `evertoken${name}`);

/** The file behind an entry. @param {string} entry */
const fileOf = (entry) =>
  path.join(packed().root, packed().manifest.exports[entry.replace("evertoken", ".")].default);

test("the package holds its sources, their types, the licence and the README, and nothing else", () => {
  const sources = readdirSync(SOURCES, { recursive: true }).map(String).filter((name) => name.endsWith(".js"));
  const expected = ["LICENSE", "README.md", "package.json", ...sources.map((name) => `src/${name}`)];
  const types = sources.map((name) => `types/${name.replace(/\.js$/, ".d.ts")}`);
  assert.deepEqual(packed().files, [...expected, ...types].sort());
  assert.match(readFileSync(path.join(packed().root, "LICENSE"), "utf8"), /Apache License/);
});

test("the package depends on nothing, and needs a framework only for that framework's entry", () => {
  const { manifest } = packed();
  assert.equal(manifest.dependencies, undefined);
  assert.deepEqual(Object.keys(manifest.peerDependencies), ["react", "vue"]);
  for (const name of ["react", "vue"]) assert.equal(manifest.peerDependenciesMeta[name].optional, true);
});

test("every entry of the package is there with its types, which come first", () => {
  assert.deepEqual(entries(packed()), NAMES);
  for (const [name, targets] of Object.entries(packed().manifest.exports)) {
    if (name === "./package.json") continue;
    assert.deepEqual(Object.keys(targets), ["types", "default"], name);
    for (const file of Object.values(targets)) assert.ok(existsSync(path.join(packed().root, file)), file);
  }
});

test("a program that has installed the package imports from every entry what the sources export", async () => {
  const code = `
    const found = {};
    for (const name of ${JSON.stringify(NAMES)}) found[name] = Object.keys(await import(name)).sort();
    console.log(JSON.stringify(found));
  `;
  const args = ["--input-type=module", "--eval", code];
  const found = JSON.parse(execFileSync(process.execPath, args, { cwd: packed().program, encoding: "utf8" }));
  for (const name of NAMES) {
    const source = new URL(path.basename(fileOf(name)), SOURCES);
    const { default: none, ...exported } = await import(source.href);
    assert.equal(none, undefined, `${name} has no default export`);
    assert.ok(Object.keys(exported).length > 0);
    assert.deepEqual(found[name], Object.keys(exported).sort(), name);
  }
});

test("a bundler leaves out what is not used: an import alone weighs nothing, the core holds no axios", async () => {
  const bundle = async (/** @type {string} */ contents) => {
    const stdin = { contents, resolveDir: packed().program };
    const split = /** @type {const} */ ({ splitting: true, outdir: "/bundle", chunkNames: "later/[name]-[hash]" });
    const { outputFiles } = await build({ stdin, ...split, bundle: true, minify: true, format: "esm", write: false, logLevel: "error" });
    const [entry] = outputFiles.filter(({ path: name }) => name.endsWith("stdin.js"));
    return [entry, ...outputFiles.filter((each) => each !== entry && entry.text.includes(`from"./${each.path.slice("/bundle/".length)}"`))].map(({ text }) => text).join("");
  };
  assert.equal((await bundle('import "evertoken"; import "evertoken/streams"; import "evertoken/axios";')).trim(), "");
  const core = await bundle('export { createSession } from "evertoken/core";');
  assert.doesNotMatch(core, /axios|localStorage|EventStream|text\/event-stream/);
  assert.match(core, /\/auth\/refresh/);
});

/**
 * What files weigh together in a bundle, and what they may load later, as the package's own script tells.
 * @param {string[]} files
 */
function weighed(...files) {
  const told = execFileSync(process.execPath, [SIZE, ...files, "--later"], { encoding: "utf8" });
  return { told: told.trim(), gzipped: Number(/(\d+) bytes gzip/.exec(told)?.[1]) };
}

test("what each entry weighs, minified and gzipped, is printed, and what it may load later", (t) => {
  for (const name of NAMES) {
    const { told, gzipped } = weighed(fileOf(name));
    for (const line of told.split("\n")) t.diagnostic(`${name}: ${line}`);
    assert.ok(gzipped > 100, told);
  }
});

test("the core, with fetch, weighs less than 5 KB", (t) => {
  const { told, gzipped } = weighed(fileOf("evertoken/core"));
  t.diagnostic(`${gzipped} bytes`);
  assert.ok(gzipped < 5_000, told);
});

test("with the refresh, and with what a page does unasked, both begun with its first use, it weighs less than 7.5 KB", (t) => {
  const core = fileOf("evertoken/core");
  const { told, gzipped } = weighed(core, ...["refresh.js", "upkeep.js"].map((name) => path.join(path.dirname(core), name)));
  t.diagnostic(`${gzipped} bytes`);
  assert.ok(gzipped < 7_500, told);
});

test("in a bundle that is split, too, nothing that only a refresh needs is loaded with the core", async () => {
  const { metafile } = await build({
    entryPoints: [fileOf("evertoken/core")], splitting: true, bundle: true, format: "esm", outdir: "/bundle", metafile: true, write: false,
  });
  const outputs = Object.entries(metafile.outputs);
  const loaded = new Set(outputs.filter(([, { entryPoint }]) => entryPoint?.endsWith("/core.js")).map(([name]) => name));
  // What is added meanwhile is visited, too.
  for (const name of loaded) {
    for (const { path: next, kind } of metafile.outputs[name].imports) if (kind === "import-statement") loaded.add(next);
  }
  const modules = [...loaded].flatMap((name) => Object.keys(metafile.outputs[name].inputs)).map((name) => name.split("/src/").at(-1));
  assert.ok(modules.includes("gate.js"));
  const parts = ["refresh", "calls", "reading", "decide/answers", "decide/speech", "decide/succession", "decide/tokens", "keep/writing"];
  assert.deepEqual(modules.filter((name) => parts.some((part) => name === `${part}.js`)), []);
});

test("from the packed files fifty requests on an expired token, in two tabs, make one refresh", { skip }, async (t) => {
  const { server, signedIn, tab: another } = await stage(t, { sources: packed().root });
  const [one, two] = [await signedIn(), await another()];
  assert.equal(await two.evaluate("session.restore()"), true);
  const ask = "Promise.all(Array.from({ length: 25 }, () => session.fetch('/x').then(({ status }) => status, tell)))";
  for (let trial = 1; trial <= 5; trial += 1) {
    server.expire();
    const answers = await Promise.all([one.evaluate(ask), two.evaluate(ask)]);
    assert.deepEqual(answers.flat(), Array(50).fill(200));
    assert.equal(server.refreshes, trial);
  }
  assert.equal(server.reuses, 0);
  assert.ok(server.seen.includes("/client/src/session.js"));
});

test("from the packed files a sign-in outlives a reload, streams are opened, and a sign-out reaches every tab", { skip }, async (t) => {
  const { server, signedIn, tab: another } = await stage(t, { sources: packed().root });
  const tab = await signedIn();
  await tab.reload();
  await tab.waitForFunction("window.isReady");
  assert.equal(await tab.evaluate("session.restore()"), true);
  await tab.evaluate('void (window.line = streams.openEvents(session, "/events", { onmessage: ({ data }) => note(data) }))');
  const stream = (await server.stream()).accept().send("data: tile\n\n");
  assert.deepEqual(await heard(tab, 1), ["tile"]);
  await (await another()).evaluate("session.restore().then(() => session.logout())");
  assert.deepEqual((await heard(tab, 2))[1], { signedout: "signed_out" });
  await stream.gone();
  assert.match(pathToFileURL(packed().root).href, /node_modules\/evertoken$/);
});
