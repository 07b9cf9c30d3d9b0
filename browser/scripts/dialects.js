// @ts-check
/** Writes src/dialects.js: the built-in dialects, from the documents that the server ships. */

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const DOCUMENTS = new URL("../../src/evertoken/wire/dialects/documents/", import.meta.url);
const WRITTEN = new URL("../src/dialects.js", import.meta.url);

/** Members that say what only a server does, or are for people. */
const NOT_FOR_CLIENTS = ["$schema", "about", "success"];

const HEAD = `// @ts-check
// Written by \`npm run dialects\` from the documents that the server ships: change those.
/** The built-in dialects, by name, as the documents that \`createSession({ dialect })\` takes. */

/** @type {Record<string, import("./decide/dialect.js").DialectDocument>} */
export const DIALECTS = `;

/** @param {unknown} value @param {string} indent @returns {string} JSON, a member of the document to a line */
function lines(value, indent = "") {
  const isPart = indent.length < 4 && value !== null && typeof value === "object" && !Array.isArray(value);
  if (!isPart) return flat(value);
  const members = Object.entries(value).map(([name, each]) => `${indent}  ${quoted(name)}: ${lines(each, `${indent}  `)},\n`);
  return `{\n${members.join("")}${indent}}`;
}

/** @param {string} name */
const quoted = (name) => (/^[a-z_]\w*$/i.test(name) ? name : JSON.stringify(name));

/** @param {any} value @returns {string} */
function flat(value) {
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(flat).join(", ")}]`;
  const members = Object.entries(value).map(([name, each]) => `${quoted(name)}: ${flat(each)}`);
  return members.length ? `{ ${members.join(", ")} }` : "{}";
}

/** The text of src/dialects.js. */
export function text() {
  const files = readdirSync(DOCUMENTS).filter((name) => name.endsWith(".json")).sort();
  const documents = files.map((name) => {
    const document = JSON.parse(readFileSync(new URL(name, DOCUMENTS), "utf8"));
    return [document.name, Object.fromEntries(Object.entries(document).filter(([key]) => !NOT_FOR_CLIENTS.includes(key)))];
  });
  return `${HEAD}${lines(Object.fromEntries(documents))};\n`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(WRITTEN, text());
