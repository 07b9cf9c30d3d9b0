/** Set-up 7 with its interceptors replaced, but for what is not about tokens: whoever was signed in by them stays so. */

import { adopt, createSession } from "/client/index.js";

const { axios } = window;

const service = axios.create({ timeout: 10000 });
const session = createSession({ dialect: "code-in-200" });
session.attach(service);
session.addEventListener("signedout", () => {
  window.location.href = "/login";
});

service.interceptors.response.use((response) => {
  const { code, msg } = response.data;
  if (code === undefined || code === 200) return response;
  window.shown.push(msg);
  return Promise.reject(new Error(msg));
});

// What the interceptors kept, once.
await adopt(session, {
  access_token: localStorage.getItem("token"),
  refresh_token: localStorage.getItem("refreshToken"),
});
localStorage.removeItem("token");
localStorage.removeItem("refreshToken");

export const signIn = (username, password) => session.login({ username, password });

export const isAtLogin = () => window.location.pathname === "/login";

export { service as request };
