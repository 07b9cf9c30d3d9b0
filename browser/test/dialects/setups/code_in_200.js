/**
 * The variant of most admin templates, with its own mistakes: HTTP 200 for everything, `code` and `msg` in the body.
 */

const { axios } = window;

const service = axios.create({ timeout: 10000 });

service.interceptors.request.use((config) => {
  const token = localStorage.getItem("token");
  if (token) config.headers.Authorization = "Bearer " + token;
  return config;
});

const toLogin = () => {
  localStorage.removeItem("token");
  localStorage.removeItem("refreshToken");
  window.location.href = "/login";
};

let isRefreshing = false;
let requests = [];

service.interceptors.response.use(
  (response) => {
    const { code, msg } = response.data;
    const { config } = response;
    if (code === 401) {
      if (!isRefreshing) {
        isRefreshing = true;
        return service({ url: "/refresh", method: "post", data: { refreshToken: localStorage.getItem("refreshToken") } })
          .then(({ data: { data } }) => {
            localStorage.setItem("token", data.token);
            localStorage.setItem("refreshToken", data.refreshToken);
            requests.forEach((callback) => callback());
            requests = [];
            return service(config);
          })
          .finally(() => {
            isRefreshing = false;
          });
      }
      return new Promise((resolve) => {
        requests.push(() => resolve(service(config)));
      });
    }
    if (code === 402) {
      toLogin();
      return Promise.reject(new Error(msg));
    }
    if (code !== undefined && code !== 200) {
      window.shown.push(msg);
      return Promise.reject(new Error(msg));
    }
    return response;
  },
  (error) => Promise.reject(error),
);

export async function signIn(username, password) {
  const { data } = await service({ url: "/login", method: "post", data: { username, password } });
  localStorage.setItem("token", data.data.token);
  localStorage.setItem("refreshToken", data.data.refreshToken);
}

export const isAtLogin = () => window.location.pathname === "/login";

export { service as request };
