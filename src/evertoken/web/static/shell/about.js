// @ts-check
/** What the server wrote into the page's <html> when it started. */

const { service = "evertoken", pages = "sessions", passwordLength = "" } = document.documentElement.dataset;

export const about = {
  /** The service's name, by its setting. */
  service,
  /** Which pages there are: "demo", "sessions", "admin". */
  pages: pages.split(" "),
  /** The least length of a new password; null where passwords are kept elsewhere. */
  passwordLength: passwordLength === "" ? null : Number(passwordLength),
};
