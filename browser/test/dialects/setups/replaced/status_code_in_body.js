/** Set-up 2 with its interceptors replaced: whoever was signed in by them stays so. */

import { adopt, createSession } from "/client/index.js";

const { axios } = window;

const session = createSession({ dialect: "status-code-in-body" });
session.attach(axios);
session.addEventListener("signedout", () => {
  window.location.href = "/login";
});

// What the interceptors kept, once.
await adopt(session, {
  access_token: localStorage.getItem("accessToken"),
  refresh_token: localStorage.getItem("refreshToken"),
});
localStorage.removeItem("accessToken");
localStorage.removeItem("refreshToken");

export const signIn = (username, password) => session.login({ username, password });

export const isAtLogin = () => window.location.pathname === "/login";

export { axios as request };
