// @ts-check
/**
 * For a wait on something outside of a page: what it is, and after how long it will not come any more.
 * @template T
 * @param {string} what
 * @param {Promise<T>} promise
 * @param {number} [seconds]
 * @returns {Promise<T>}
 */
export async function within(what, promise, seconds = 10) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within ${seconds} s`)), seconds * 1000);
  });
  try {
    return /** @type {T} */ (await Promise.race([promise, late]));
  } finally {
    clearTimeout(timer);
  }
}
