// @ts-check
/** A React hook, for React 18 or later. */

import { useSyncExternalStore } from "react";

import { LOADING, watchOf } from "./status.js";

const onServer = () => LOADING;

/**
 * Whether somebody is signed in, and who. The first component that uses a session restores it, once for all of them.
 *
 * On a server that renders, and in the first pass over what it has rendered, the status is `loading`.
 * @param {import("./session.js").Session} session made outside of components: one for the page
 * @returns {import("./status.js").Status}
 */
export function useSession(session) {
  const watch = watchOf(session);
  return useSyncExternalStore(watch.subscribe, watch.get, onServer);
}
