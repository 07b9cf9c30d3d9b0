/** Set-up 1 with its interceptors replaced: whoever was signed in by them stays so. */

import { adopt, createSession } from "/client/index.js";

const { axios } = window;

const request = axios.create({ timeout: 10000 });
const session = createSession({ dialect: "raw-header" });
session.attach(request);
session.addEventListener("signedout", () => {
  window.location.href = "/login";
});

// What the interceptors kept, once.
await adopt(session, {
  access_token: sessionStorage.getItem("token"),
  refresh_token: sessionStorage.getItem("refresh"),
});
sessionStorage.removeItem("token");
sessionStorage.removeItem("refresh");

export const signIn = (username, password) => session.login({ username, password });

export const isAtLogin = () => window.location.pathname === "/login";

export { request };
