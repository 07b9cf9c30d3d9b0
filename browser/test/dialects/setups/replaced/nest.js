/** Set-up 3 with its interceptors replaced: whoever was signed in by them stays so. */

import { adopt, createSession } from "/client/index.js";

const { axios } = window;

axios.defaults.baseURL = window.API;

const session = createSession({ baseURL: window.API, dialect: "nest" });
session.attach(axios);
session.addEventListener("signedout", () => {
  alert("Your sign-in has expired");
});

// What the interceptors kept, once.
await adopt(session, {
  access_token: localStorage.getItem("access_token"),
  refresh_token: localStorage.getItem("refresh_token"),
});
localStorage.removeItem("access_token");
localStorage.removeItem("refresh_token");

export const signIn = (username, password) => session.login({ username, password });

export const isAtLogin = () => session.user === null;

export { axios as request };
