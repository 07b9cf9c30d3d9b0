// @ts-check
/** The page of the fault tests: one session, and five callers that send the same request each in its own way. */

const real = { wall: Date.now.bind(Date), monotonic: performance.now.bind(performance) };
let shiftMs = 0;
let wallShiftMs = 0;
Date.now = () => real.wall() + shiftMs + wallShiftMs;
performance.now = () => real.monotonic() + shiftMs;

const evertoken = await import(/** @type {any} */ ("/client/index.js"));
const { attach } = await import(/** @type {any} */ ("/client/axios.js"));

const all = /** @type {any} */ (window);
/** By name; the scripts before this one have loaded them. @type {Record<string, any>} */
const builds = { axios021: all.axios021, axios027: all.axios027, axios16: all.axios16, axios121: all.axios121 };

/** @type {any} */
const faults = {
  evertoken,
  attach,
  builds,
  /** Reasons of the signedout events. @type {string[]} */
  events: [],
  /** @type {Record<string, any>} what a story wants to keep from one step to the next */
  kept: {},

  /** A new session and an instance of each axios on it. @param {any} settings */
  begin({ store = "memory", dialect = {}, delivery, ...settings } = {}) {
    faults.session?.close?.();
    shiftMs = wallShiftMs = 0;
    faults.events = [];
    faults.kept = {};
    const named = store === "memory" ? evertoken.memoryStore : () => evertoken.indexedDBStore(store);
    const kept = typeof store === "string" ? named() : store;
    faults.session = evertoken.createSession({ store: kept, ...(delivery ? { delivery } : { dialect }), ...settings });
    faults.store = kept;
    faults.session.addEventListener("signedout", (/** @type {any} */ event) => faults.events.push(event.reason));
    faults.instances = {};
    for (const [name, axios] of Object.entries(builds)) {
      faults.instances[name] = axios.create({ baseURL: faults.session.baseURL });
      attach(faults.session, faults.instances[name]);
    }
  },

  /** @param {string} [username] */
  signIn: (username = "ada") => faults.session.login({ username, password: "right" }),

  /** The page's clocks go on by so much. @param {number} seconds */
  moveClock(seconds) {
    shiftMs += seconds * 1000;
  },

  /** Only what the wall says: as when somebody sets the clock. @param {number} seconds */
  setClock(seconds) {
    wallShiftMs += seconds * 1000;
  },

  /**
   * One request by one caller; what came of it, which never rejects.
   * @param {string} caller
   * @param {any} request {url, method, body, headers, responseType, signal}, and `axios` for members of its config
   */
  async call(caller, request) {
    try {
      return await (caller === "fetch" ? byFetch(request) : byAxios(caller, request));
    } catch (error) {
      return tell(error);
    }
  },
};

/** @param {any} error */
function tell(error) {
  const { name, code, reason, message, retryAfterSeconds } = error;
  const isCancel = name === "AbortError" || Object.values(builds).some((axios) => axios.isCancel(error));
  return { name, code, reason, message, retryAfterSeconds, isCancel };
}
faults.tell = tell;

const PHOTO = Uint8Array.from({ length: 300_000 }, (_, index) => (index * 31) % 251);

/** What axios is given; fetch is given the same, but JSON as text. @param {any} body */
function made(body) {
  const [[kind, value]] = Object.entries(body);
  if (kind === "json" || kind === "text") return value;
  if (kind === "form") return new URLSearchParams(value);
  if (kind === "blob") return new Blob([PHOTO], { type: "image/png" });
  if (kind === "buffer") return PHOTO.buffer;
  const form = new FormData();
  form.append("note", "größer ✓");
  form.append("file", new Blob([PHOTO], { type: "image/png" }), "photo.png");
  return form;
}

/** @param {any} data */
async function told(data) {
  if (data instanceof ArrayBuffer) data = new Blob([data]);
  if (!(data instanceof Blob)) return data;
  return { bytes: data.size, text: await data.slice(0, 200).text() };
}

/** @param {any} request */
async function byFetch({ url, method = "GET", body, headers = {}, responseType = "json", ...rest }) {
  delete rest.axios;
  const isJSON = body && "json" in body;
  const init = {
    method,
    body: body && (isJSON ? JSON.stringify(body.json) : made(body)),
    headers: isJSON ? { "Content-Type": "application/json", ...headers } : headers,
    ...rest,
  };
  const response = await faults.session.fetch(url, init);
  const as = responseType === "arraybuffer" ? "arrayBuffer" : responseType === "blob" ? "blob" : "text";
  const data = await response[as]();
  return { status: response.status, data: as === "text" ? parsed(data) : await told(data) };
}

/** @param {string} text */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** @param {string} caller @param {any} request */
async function byAxios(caller, { body, axios, ...config }) {
  const data = body && made(body);
  const refused = (/** @type {any} */ error) => {
    // 0.27 gives the XMLHttpRequest for the answer where there is none.
    if (error.response?.status) return error.response;
    throw error;
  };
  const answer = await faults.instances[caller].request({ ...config, data, ...axios }).catch(refused);
  return { status: answer.status, data: await told(answer.data) };
}

all.faults = faults;
