/** Set-up 5 with its interceptors replaced, but for what is not about tokens: whoever was signed in by them stays so. */

import { adopt, createSession } from "/client/index.js";

const { axios } = window;

const message = { error: (text) => window.shown.push(text) };

const service = axios.create({ timeout: 10000 });
const session = createSession({ dialect: "code-in-400" });
session.attach(service);
session.addEventListener("signedout", () => {
  window.location.href = "/login";
});

service.interceptors.response.use(
  (response) => response.data,
  (error) => {
    message.error(error.response?.data?.msg || "Network error");
    return Promise.reject(error);
  },
);

// What the interceptors kept, once.
const { accessToken, refreshToken } = JSON.parse(localStorage.getItem("user") ?? "{}");
await adopt(session, { access_token: accessToken, refresh_token: refreshToken });
localStorage.removeItem("user");

export const signIn = (username, password) => session.login({ username, password });

export const isAtLogin = () => window.location.pathname === "/login";

export { service as request };
