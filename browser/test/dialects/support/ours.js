/** evertoken's client in the place of a set-up, naming the dialect only. Served as it is. */

import { createSession } from "/client/index.js";

const { axios, API, DIALECT, CALLER } = window;

export const session = createSession({ baseURL: API || location.origin, dialect: DIALECT });

let isOver = false;
session.addEventListener("signedout", () => (isOver = true));
session.addEventListener("signedin", () => (isOver = false));

const api = axios.create({ baseURL: API });
session.attach(api);

// Whoever signed in before a reload, or in another tab.
await session.restore();

/** The same request by fetch. */
async function byFetch({ url, method = "get", data, signal, responseType }) {
  const isForm = data instanceof FormData;
  const json = data && !isForm ? { body: JSON.stringify(data), headers: { "Content-Type": "application/json" } } : {};
  const response = await session.fetch(url, { method: method.toUpperCase(), signal, ...(isForm ? { body: data } : json) });
  return { status: response.status, data: responseType === "blob" ? await response.blob() : await response.text() };
}

const byAxios = (config) => api.request(config);
// One set-up's place begins with axios and the next one's with fetch; so does a tab, and the one that it opens.
let turn = window.TURN + (window.opener ? 1 : 0);
const inTurn = (config) => (turn++ % 2 ? byFetch : byAxios)(config);

export const request = { fetch: byFetch, axios: byAxios, mixed: inTurn }[CALLER];

export const signIn = (username, password) => session.login({ username, password });

export const isAtLogin = () => isOver;
