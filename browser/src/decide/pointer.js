// @ts-check
/** JSON Pointers (RFC 6901). Pure. */

/** @param {string} pointer @returns {string[]} @throws {TypeError} it is none */
export function steps(pointer) {
  if (pointer === "") return [];
  if (pointer[0] !== "/" || /~(?![01])/.test(pointer)) {
    throw new TypeError(`${pointer} is not a JSON Pointer (RFC 6901)`);
  }
  return pointer.slice(1).split("/").map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
}

/**
 * The value at a place of a document; undefined where there is none, which JSON knows not.
 * @param {any} document
 * @param {?string | undefined} pointer
 */
export function find(document, pointer) {
  if (pointer == null) return undefined;
  for (const step of steps(pointer)) {
    if (typeof document !== "object" || !Object.hasOwn(document ?? {}, step)) return undefined;
    // The length is a list's own, but not the document's.
    if (Array.isArray(document) && step === "length") return undefined;
    document = document[step];
  }
  return document;
}
