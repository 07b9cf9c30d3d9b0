/** Set-up 6 with its interceptors replaced, but for what is not about tokens: the browser has the refresh token. */

import { createSession } from "/client/index.js";

const { axios } = window;

const api = axios.create({ baseURL: window.API });
const session = createSession({ baseURL: window.API, dialect: "cookie-envelope" });
session.attach(api);
session.addEventListener("signedout", () => {
  window.location.hash = "#/login";
});

api.interceptors.response.use((response) =>
  response.data?.isSuccess === false ? Promise.reject(new Error(response.data.message)) : response,
);

// The cookie of whoever was signed in by the interceptors is still there.
await session.restore();
localStorage.removeItem("access_token");

export async function signIn(username, password) {
  await session.login({ username, password });
  window.location.hash = "#/";
}

export const isAtLogin = () => window.location.hash === "#/login";

export { api as request };
