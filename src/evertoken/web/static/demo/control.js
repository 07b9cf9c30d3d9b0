// @ts-check
/** The demo's own routes, called around the client and the timeline. */

import { real } from "./network.js";

/**
 * @param {string} path
 * @param {string} [method]
 * @returns {Promise<any>} the answer's JSON; undefined for 204
 * @throws {Error} it was refused
 */
export async function control(path, method = "GET") {
  const response = await good(await real(path, { method }));
  return response.status === 204 ? undefined : response.json();
}

/** @param {Response} response */
export async function good(response) {
  if (!response.ok) throw new Error(`${new URL(response.url).pathname}: ${response.status}`);
  return response;
}
