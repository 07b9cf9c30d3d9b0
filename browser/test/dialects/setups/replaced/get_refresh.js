/** Set-up 4 with its interceptors replaced: whoever was signed in by them stays so. */

import { adopt, createSession } from "/client/index.js";

const { axios } = window;

const service = axios.create({ timeout: 5000 });
const session = createSession({ dialect: "get-refresh" });
session.attach(service);
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

export { service as request };
