/**
 * Set-up 4, as it stands in projects, with its own mistakes: several applications and one sign-in, both tokens in
 * localStorage, GET for the refresh.
 */

const { axios } = window;

const service = axios.create({ timeout: 5000 });

service.interceptors.request.use((config) => {
  const token = localStorage.getItem("accessToken");
  if (token) config.headers.authorization = "Bearer " + token;
  return config;
});

const taskQueue = [];
let isRefreshing = false;

const refresh = async () => {
  const { data } = await service.get("/refresh", { params: { token: localStorage.getItem("refreshToken") } });
  localStorage.setItem("accessToken", data.accessToken);
  localStorage.setItem("refreshToken", data.refreshToken);
};

service.interceptors.response.use(
  (res) => res,
  async (err) => {
    const { data, config } = err.response;
    if (data.statusCode === 401 && config.url.includes("/refresh")) {
      localStorage.clear();
      window.location.href = "/login";
      return Promise.reject(err);
    }
    if (isRefreshing && !config.url.includes("/refresh")) {
      return new Promise((resolve) => taskQueue.push({ config, resolve }));
    }
    if (data.statusCode === 401) {
      isRefreshing = true;
      await refresh();
      isRefreshing = false;
      if (taskQueue.length > 0) {
        taskQueue.forEach((task) => task.resolve(service(task.config)));
        taskQueue = [];
      }
      return service(config);
    }
    return Promise.reject(err);
  },
);

export async function signIn(username, password) {
  const { data } = await service.post("/login", { username, password });
  localStorage.setItem("accessToken", data.accessToken);
  localStorage.setItem("refreshToken", data.refreshToken);
}

export const isAtLogin = () => window.location.pathname === "/login";

export { service as request };
