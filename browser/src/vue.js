// @ts-check
/** A Vue composable, for Vue 3. */

import { computed, getCurrentInstance, onMounted, onScopeDispose, shallowRef } from "vue";

import { LOADING, watchOf } from "./status.js";

/**
 * Whether somebody is signed in, and who. The first component that uses a session restores it, once for all of them.
 *
 * In a component it begins when that is mounted, so that a server which renders asks for nothing; in another effect
 * scope at once. It ends with the component or scope.
 * @param {import("./session.js").Session} session made outside of components: one for the page
 */
export function useSession(session) {
  const watch = watchOf(session);
  const component = getCurrentInstance();
  // Over what a server has rendered the first pass has to say what that said.
  const isHydrating = component?.vnode.el != null;
  const now = shallowRef(isHydrating ? LOADING : watch.get());
  let stop = () => {};
  let isOver = false;
  const begin = () => {
    if (isOver) return;
    stop = watch.subscribe(() => void (now.value = watch.get()));
    now.value = watch.get();
  };
  onScopeDispose(() => {
    isOver = true;
    stop();
  });
  if (component) onMounted(begin);
  else begin();
  return {
    status: computed(() => now.value.status),
    reason: computed(() => now.value.reason),
    user: computed(() => now.value.user),
  };
}
