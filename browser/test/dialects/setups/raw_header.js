/**
 * Set-up 1, as it stands in projects, with its own mistakes: the bare token in `authorization`, both tokens in
 * sessionStorage, at most five refreshes in a row.
 */

const { axios } = window;

const request = axios.create({ timeout: 10000 });
const MAX_REFRESH = 5;
let refreshCount = 0;
let isRefreshing = false;
const waiting = [];

request.interceptors.request.use((config) => {
  config.headers.authorization = sessionStorage.getItem("token");
  return config;
});

function toLogin() {
  sessionStorage.clear();
  window.location.href = "/login";
}

async function getNewToken(refresh) {
  try {
    const { data } = await request.post("/refresh", { refresh });
    return data.access;
  } catch (error) {
    return null;
  }
}

request.interceptors.response.use(
  (response) => {
    if (!response.config.url.includes("refresh")) refreshCount = 0;
    return response;
  },
  async (error) => {
    const { response, config } = error;
    if (!response || response.status !== 401) return Promise.reject(error);
    if (config.url.includes("refresh")) {
      toLogin();
      return Promise.reject(error);
    }
    if (isRefreshing) {
      return new Promise((resolve) => {
        waiting.push((token) => {
          config.headers.authorization = token;
          resolve(request(config));
        });
      });
    }
    if (refreshCount >= MAX_REFRESH) {
      toLogin();
      return Promise.reject(error);
    }
    refreshCount += 1;
    isRefreshing = true;
    const token = await getNewToken(sessionStorage.getItem("refresh"));
    sessionStorage.setItem("token", token);
    isRefreshing = false;
    if (!token) return Promise.reject(error);
    waiting.forEach((callback) => callback(token));
    config.headers.authorization = token;
    return request(config);
  },
);

export async function signIn(username, password) {
  const { data } = await request.post("/login", { username, password });
  sessionStorage.setItem("token", data.access);
  sessionStorage.setItem("refresh", data.refresh);
}

export const isAtLogin = () => window.location.pathname === "/login";

export { request };
