/**
 * Set-up 3, as it stands in projects, with its own mistakes: a React page and its Nest API on another port, three calls
 * at once, one refresh. Whoever has no access token sees the sign-in form.
 */

const { axios } = window;

axios.defaults.baseURL = window.API;

axios.interceptors.request.use((config) => {
  const accessToken = localStorage.getItem("access_token");
  if (accessToken) config.headers.authorization = `Bearer ${accessToken}`;
  return config;
});

let refreshing = false;
const queue = [];

async function refreshToken() {
  const res = await axios.get("/user/refresh", {
    params: { refresh_token: localStorage.getItem("refresh_token") },
  });
  localStorage.setItem("access_token", res.data.access_token || "");
  localStorage.setItem("refresh_token", res.data.refresh_token || "");
  return res;
}

axios.interceptors.response.use(
  (response) => response,
  async (error) => {
    const { data, config } = error.response;

    if (refreshing && !config.url.includes("/user/refresh")) {
      return new Promise((resolve) => {
        queue.push({ config, resolve });
      });
    }

    if (data.statusCode === 401 && !config.url.includes("/user/refresh")) {
      refreshing = true;
      const res = await refreshToken();
      refreshing = false;

      if (res.status === 200) {
        queue.forEach(({ config, resolve }) => {
          resolve(axios(config));
        });
        return axios(config);
      }
      alert("Your sign-in has expired");
      return Promise.reject(res.data);
    }
    return error.response;
  },
);

export async function signIn(username, password) {
  const res = await axios.post("/user/login", { username, password });
  localStorage.setItem("access_token", res.data.access_token);
  localStorage.setItem("refresh_token", res.data.refresh_token);
}

export const isAtLogin = () => !localStorage.getItem("access_token");

export { axios as request };
