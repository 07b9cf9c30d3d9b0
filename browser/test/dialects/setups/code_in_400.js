/**
 * Set-up 5, as it stands in projects, with its own mistakes: HTTP 400 for everything, the code in the body says what it
 * is; the token in a header of its own; a store of the application's that is kept in localStorage.
 */

const { axios } = window;

const store = {
  ...JSON.parse(localStorage.getItem("user") ?? "{}"),
  set(values) {
    Object.assign(store, values);
    const { accessToken, refreshToken } = store;
    localStorage.setItem("user", JSON.stringify({ accessToken, refreshToken }));
  },
};

const message = { error: (text) => window.shown.push(text) };

const service = axios.create({ timeout: 10000 });

service.interceptors.request.use((config) => {
  const isToken = (config.headers || {}).isToken === false;
  if (store.accessToken && !isToken) config.headers.token = store.accessToken;
  return config;
});

const refreshToken = (token) =>
  service({ url: "/token/refresh", method: "post", headers: { isToken: false }, params: { refreshToken: token } });

let isRefreshing = false;
let requests = [];

service.interceptors.response.use(
  (response) => response.data,
  async (error) => {
    const { code, msg } = error.response?.data ?? {};
    const { config } = error;
    if (code === 401) {
      if (isRefreshing) {
        return new Promise((resolve) => {
          requests.push(() => resolve(service(config)));
        });
      }
      isRefreshing = true;
      const res = await refreshToken(store.refreshToken);
      store.set({ accessToken: res.data.accessToken });
      isRefreshing = false;
      requests.forEach((run) => run());
      requests = [];
      return service(config);
    }
    message.error(msg || "Network error");
    if (code === 402) {
      store.set({ accessToken: "", refreshToken: "" });
      window.location.href = "/login";
    }
    return Promise.reject(error);
  },
);

export async function signIn(username, password) {
  const res = await service({ url: "/login", method: "post", headers: { isToken: false }, data: { username, password } });
  store.set({ accessToken: res.data.accessToken, refreshToken: res.data.refreshToken });
}

export const isAtLogin = () => window.location.pathname === "/login";

export { service as request };
