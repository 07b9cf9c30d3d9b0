// @ts-check
/** Reading answers, with a bound. */

/**
 * The body of an answer, which need not say how long it is; null: longer than that, and not read on.
 * @param {number} longest bytes
 * @param {Response} response
 */
export async function readUpTo(longest, { body }) {
  const chunks = [];
  const reader = body?.getReader();
  for (let read; (read = (await reader?.read())?.value); chunks.push(read)) {
    if ((longest -= read.length) < 0) {
      // Not awaited: a clone's end is told only once the other half has ended too.
      reader?.cancel().catch(() => {});
      return null;
    }
  }
  return new Blob(chunks).arrayBuffer();
}
