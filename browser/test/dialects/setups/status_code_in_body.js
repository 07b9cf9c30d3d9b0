/**
 * Set-up 2, as it stands in projects, with its own mistakes: a dashboard on a big screen. The token is a default of
 * axios, `statusCode` in the body is what counts, and a refresh waits 500 ms to gather what has failed.
 */

const { axios } = window;

const save = ({ accessToken, refreshToken }) => {
  localStorage.setItem("accessToken", accessToken);
  localStorage.setItem("refreshToken", refreshToken);
  axios.defaults.headers.common.Authorization = `Bearer ${accessToken}`;
};

const stored = localStorage.getItem("accessToken");
if (stored) axios.defaults.headers.common.Authorization = `Bearer ${stored}`;

let failedRequests = [];
let timer = null;

function refreshToken() {
  return axios.post(
    "/api/token/refreshToken",
    { clientId: "big-screen", userName: localStorage.getItem("userName") },
    { headers: { Authorization: `bearer ${localStorage.getItem("refreshToken")}` } },
  );
}

async function refreshAndRetry() {
  try {
    const { data } = await refreshToken();
    save(data);
    failedRequests.forEach(({ config, resolve, reject }) => {
      config.headers.Authorization = `Bearer ${data.accessToken}`;
      axios(config).then(resolve, reject);
    });
  } catch (error) {
    failedRequests.forEach(({ reject }) => reject(error));
  }
  failedRequests = [];
  timer = null;
}

axios.interceptors.response.use(
  (response) => response,
  (error) => {
    const { config, data } = error.response;
    if (data.statusCode !== 401) return Promise.reject(error);
    if (config.url.indexOf("/api/token/refreshToken") !== -1) {
      localStorage.removeItem("accessToken");
      localStorage.removeItem("refreshToken");
      window.location.href = "/login";
      return Promise.reject(error);
    }
    return new Promise((resolve, reject) => {
      failedRequests.push({ config, resolve, reject });
      if (!timer) timer = setTimeout(refreshAndRetry, 500);
    });
  },
);

export async function signIn(username, password) {
  const { data } = await axios.post("/api/token/login", { username, password });
  localStorage.setItem("userName", username);
  save(data);
}

export const isAtLogin = () => window.location.pathname === "/login";

export { axios as request };
