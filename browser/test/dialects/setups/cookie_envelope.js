/**
 * Set-up 6, as it stands in projects, with its own mistakes: an API on another port, the refresh token in an HttpOnly
 * cookie, the access token in localStorage with its scheme, every answer in an envelope.
 */

const { axios } = window;

const api = axios.create({
  baseURL: window.API,
  withCredentials: true,
  withXSRFToken: true,
  xsrfCookieName: "XSRF-TOKEN",
  xsrfHeaderName: "X-XSRF-TOKEN",
});

let isRefreshing = false;
let failedQueue = [];

const processQueue = (error, token = null) => {
  failedQueue.forEach(({ resolve, reject }) => (error ? reject(error) : resolve(token)));
  failedQueue = [];
};

api.interceptors.request.use((config) => {
  const token = localStorage.getItem("access_token");
  if (token) config.headers.Authorization = token;
  return config;
});

api.interceptors.response.use(
  (response) => {
    if (response.data instanceof Blob) return response;
    if (response.data.isSuccess === false) return Promise.reject(new Error(response.data.message));
    return response;
  },
  async (error) => {
    const originalRequest = error.config;
    const isRefresh = originalRequest.url.includes("/api/Auth/RefreshToken");
    if (error.response?.status !== 401 || originalRequest._retry || isRefresh) return Promise.reject(error);

    if (isRefreshing) {
      const token = await new Promise((resolve, reject) => failedQueue.push({ resolve, reject }));
      originalRequest.headers.Authorization = token;
      return api(originalRequest);
    }

    originalRequest._retry = true;
    isRefreshing = true;
    try {
      const { data } = await api.post("/api/Auth/RefreshToken", {});
      const token = `Bearer ${data.data.accessToken}`;
      localStorage.setItem("access_token", token);
      processQueue(null, token);
      originalRequest.headers.Authorization = token;
      return api(originalRequest);
    } catch (refreshError) {
      processQueue(refreshError);
      localStorage.removeItem("access_token");
      window.location.hash = "#/login";
      return Promise.reject(refreshError);
    } finally {
      isRefreshing = false;
    }
  },
);

export async function signIn(username, password) {
  const { data } = await api.post("/api/Auth/Login", { username, password });
  localStorage.setItem("access_token", `Bearer ${data.data.accessToken}`);
  window.location.hash = "#/";
}

export const isAtLogin = () => window.location.hash === "#/login";

export { api as request };
