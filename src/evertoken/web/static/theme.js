// @ts-check
/**
 * Before the page is drawn: the language and the theme that were chosen here last, else those of the browser.
 *
 * A classic script in the head, not a module: a module would run after the first drawing, in the wrong colours.
 */
(() => {
  /** @param {string} name */
  const remembered = (name) => {
    try {
      return localStorage.getItem(name);
    } catch {
      return null; // storage is blocked for this page: then the browser's preferences decide
    }
  };
  const theme = remembered("evertoken.theme");
  const language = remembered("evertoken.language") ?? navigator.language;
  const root = document.documentElement;
  if (theme === "light" || theme === "dark") root.dataset.theme = theme;
  root.lang = /^zh\b/i.test(language) ? "zh" : "en";
})();
