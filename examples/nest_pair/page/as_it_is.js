/** The set-up that such pages have: axios, two interceptors, tokens in localStorage. Nothing in it knows evertoken. */

import axios from "axios";

export const request = axios.create();

request.interceptors.request.use((config) => {
  const token = localStorage.getItem("access_token");
  if (token) config.headers.Authorization = `Bearer ${token}`;
  return config;
});

let refreshing = false;
const queue = [];

async function refreshToken() {
  const answer = await request.get("/user/refresh", {
    params: { refresh_token: localStorage.getItem("refresh_token") },
  });
  localStorage.setItem("access_token", answer.data.access_token || "");
  localStorage.setItem("refresh_token", answer.data.refresh_token || "");
  return answer;
}

request.interceptors.response.use(
  (answer) => answer,
  async (error) => {
    const { data, config } = error.response;
    if (refreshing && !config.url.includes("/user/refresh")) {
      return new Promise((resolve) => queue.push({ config, resolve }));
    }
    if (data.statusCode === 401 && !config.url.includes("/user/refresh")) {
      refreshing = true;
      const answer = await refreshToken();
      refreshing = false;
      if (answer.status === 200) {
        queue.forEach(({ config: waiting, resolve }) => resolve(request(waiting)));
        return request(config);
      }
      alert("Please sign in again");
      return Promise.reject(answer.data);
    }
    return error.response;
  },
);

export async function signIn(username, password) {
  const answer = await request.post("/user/login", { username, password });
  localStorage.setItem("access_token", answer.data.access_token);
  localStorage.setItem("refresh_token", answer.data.refresh_token);
}

export async function signOut() {
  localStorage.removeItem("access_token");
  localStorage.removeItem("refresh_token");
}
