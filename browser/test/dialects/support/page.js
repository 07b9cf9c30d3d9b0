/** What a page of these tests holds besides its set-up: requests by name, and what became of each. Served as it is. */

const { axios } = window;
const isBytes = (value) => value instanceof Blob || value instanceof ArrayBuffer;
const setup = await import(window.SETUP);
/** @type {Record<string, any>} */
const outcomes = {};
const aborts = {};

const PHOTO = Uint8Array.from({ length: 100_000 }, (_, index) => (index * 31) % 251);

/** The body of a request, by its kind. */
function made(body) {
  if (!body) return undefined;
  if (body.json) return body.json;
  const form = new FormData();
  form.append("note", "größer ✓");
  form.append("file", new Blob([PHOTO], { type: "image/png" }), "photo.png");
  return form;
}

/** What came of a request: the status of an answer, or what an error is called. */
const told = {
  // Some set-ups hand out the body instead of the answer.
  answer: (response) => ({ status: response?.status ?? (response?.path ? 200 : "nothing"), bytes: size(response?.data) }),
  error: (error) => {
    if (error?.response?.status) return { status: error.response.status };
    const isGivenUp = axios.isCancel(error) || error?.name === "AbortError" || error?.code === "ERR_CANCELED";
    const name = error?.code ?? error?.name ?? (error ? "an object that is no error" : "nothing");
    return { error: isGivenUp ? "given up" : name, message: error?.message };
  },
};

const size = (data) => (isBytes(data) ? (data.size ?? data.byteLength) : undefined);

window.app = {
  ...setup,

  /** Begin a request; its outcome is kept. */
  start(name, { body, isAbortable = false, ...config }) {
    const controller = new AbortController();
    const source = axios.CancelToken.source();
    aborts[name] = () => {
      controller.abort();
      source.cancel("given up");
    };
    const giveUp = isAbortable ? { signal: controller.signal, cancelToken: source.token } : {};
    const data = made(body);
    const settled = (outcome) => {
      outcomes[name] = outcome;
      dispatchEvent(new Event("settled"));
    };
    outcomes[name] = null;
    // A set-up may throw before there is a promise.
    new Promise((resolve) => resolve(setup.request({ ...config, ...(data && { data }), ...giveUp }))).then(
      (response) => settled(told.answer(response)),
      (error) => settled(told.error(error)),
    );
  },

  abort: (name) => aborts[name](),

  /** The outcome of each, once all of them have one. */
  ended: (names) =>
    new Promise((resolve) => {
      const look = () => names.every((name) => outcomes[name]) && resolve(names.map((name) => outcomes[name]));
      addEventListener("settled", look);
      look();
    }),

  /** What is there now; null: it still waits. */
  now: (names) => names.map((name) => (name in outcomes ? outcomes[name] : undefined)),

  /** Sign in; what went wrong, or null. */
  enter: (username, password) =>
    new Promise((resolve) => resolve(setup.signIn(username, password))).then(() => null, told.error),
};
