// @ts-check
/**
 * The session's gate for an axios instance, from 0.21 on: its adapter is wrapped, below interceptors and transforms.
 *
 * So a replay is the same request, byte for byte: no interceptor signs it twice, no transform sees a body that it has
 * already transformed. A request that names an adapter of its own goes around the session.
 */

import { parseBody, refusal, wantsBody } from "./decide/answers.js";
import { inFull } from "./decide/speech.js";

/** @typedef {import("./gate.js").Holding} Holding */
/** @typedef {Pick<import("./session.js").Session, "gate" | "home" | "ready">} Session */
/** @typedef {import("./decide/carrying.js").Carrying} Carrying */
/** @typedef {(config: any) => Promise<any>} Adapter */
/** @typedef {{defaults: {adapter?: any}, create?: (config?: any) => any}} AxiosInstance */

/** Whose wrapper an adapter is. @type {WeakMap<Adapter, Session>} */
const owners = new WeakMap();

/**
 * Send the requests of an axios instance with the access token, and once more if it was refused.
 *
 * `evertoken: false` in a request's config, or in the instance's defaults, opts out; so does axios' own `auth` where it
 * would write the same header. `timeout` counts for each time a request is sent, not for the wait in between.
 * @param {Session} session
 * @param {AxiosInstance} instance
 * @returns {() => void} detaches it
 * @throws {TypeError} the instance is attached already, or its adapter cannot be had
 */
export function attach(session, instance) {
  const before = instance.defaults.adapter;
  if (owners.get(before) === session) throw new TypeError("this axios instance is attached already");
  const inner = typeof before === "function" ? before : named(instance, before);
  let isAttached = true;
  /** @type {Adapter} */
  const adapter = async (config) => {
    const isOurs = () => isAttached && config.evertoken !== false && isAtHome(session, config);
    const speech = isOurs() ? await session.ready() : null;
    return speech && isOurs() && !optsOut(speech, config)
      ? send(session, speech, inner, config)
      : given(await settled(inner, config, {}));
  };
  owners.set(adapter, session);
  instance.defaults.adapter = adapter;
  return () => {
    isAttached = false;
    // Somebody may have wrapped this adapter meanwhile, and keeps it.
    if (instance.defaults.adapter === adapter) instance.defaults.adapter = before;
  };
}

/**
 * The adapter that axios finds by its names. Only axios' module can look names up, and an instance does not lead to it:
 * so a bare instance sends the config as it is, without interceptors and transforms, which have run by then.
 * @param {AxiosInstance} instance
 * @param {unknown} names
 * @returns {Adapter}
 */
function named(instance, names) {
  if (!instance.create) {
    throw new TypeError("set defaults.adapter to axios.getAdapter(defaults.adapter) first: this resolves no names");
  }
  return (config) => {
    const bare = /** @type {any} */ (instance).create();
    const found = { adapter: names, transformRequest: undefined, transformResponse: undefined };
    bare.interceptors.request.use(() => copy(config, found));
    return bare.request({ url: config.url });
  };
}

/**
 * @param {Session} session
 * @param {Carrying} speech
 * @param {Adapter} inner
 * @param {any} config
 */
async function send(session, speech, inner, config) {
  const isRepeatable = !(config.data?.pipe ?? config.data?.pipeTo);
  const [signal, release] = cancellation(config);
  const progress = forward(config);
  /** @param {Holding} holding */
  const attempt = async (holding) => {
    const headers = withToken(speech, config.headers, holding);
    const tried = await settled(inner, config, { ...progress, headers });
    return { ...tried, answer: tried.response, refusal: await judge(session, speech, tried.response) };
  };
  // An answer that nobody reads would keep its connection.
  const drop = (/** @type {{response: any}} */ { response }) => response.data?.destroy?.();
  try {
    return given(await session.gate.sent(attempt, isRepeatable, signal, drop));
  } finally {
    release();
  }
}

/**
 * What an adapter answers; validateStatus makes rejections of some answers, and those are kept as they are.
 * @param {Adapter} inner
 * @param {any} config
 * @param {Record<string, unknown>} members what the adapter gets instead of the config's own
 * @returns {Promise<{response: any, error?: any}>}
 */
async function settled(inner, config, members) {
  try {
    // Adapters write into the config and headers they are given, and what they are given holds the token: a copy.
    const response = await inner(copy(config, members));
    response.config = config;
    return { response };
  } catch (/** @type {any} */ error) {
    if (error?.config) error.config = config;
    if (!error?.response) throw error;
    error.response.config = config;
    return { response: error.response, error };
  }
}

/** @param {{response: any, error?: any}} tried */
function given({ response, error }) {
  if (error) throw error;
  return response;
}

/** Whether a request says itself that it carries no access token, or another. @param {Carrying} speech @param {any} config */
function optsOut({ header, optsOut }, { auth, headers = {} }) {
  const plain = Object.entries(headers).filter(([, value]) => ["string", "number", "boolean"].includes(typeof value));
  return (auth && /^authorization$/i.test(header)) || optsOut?.(new Headers(plain.map(([name, value]) => [name, String(value)])));
}

/** Whether a request goes to where the session's token belongs. @param {Session} session @param {any} config */
function isAtHome({ home }, config) {
  const url = String(config.url ?? "");
  const base = String(config.baseURL ?? "");
  const joined = url && base ? `${base.replace(/\/+$/, "")}/${url.replace(/^\/+/, "")}` : url || base;
  const isAbsolute = /^([a-z][a-z\d+.-]*:)?\/\//i.test(url);
  // Not every axios knows allowAbsoluteUrls: where it is false, either reading has to be ours.
  const readings = !isAbsolute ? [joined] : config.allowAbsoluteUrls === false ? [joined, url] : [url];
  // Outside of a page a relative URL leads nowhere.
  const page = globalThis.document?.baseURI ?? globalThis.location?.href ?? "nowhere://";
  return readings.every((reading) => home.covers(new URL(reading, page).href));
}

/**
 * A copy of a request's headers, plain or AxiosHeaders, with the access token in the place of what stood there.
 * @param {Carrying} speech
 * @param {any} headers
 * @param {Holding} holding
 */
function withToken({ header, scheme }, headers, holding) {
  const copied = copy(headers, {});
  for (const name of Object.keys(copied)) {
    if (name.toLowerCase() === header.toLowerCase()) delete copied[name];
  }
  copied[header] = scheme + holding.access_token;
  return copied;
}

/**
 * Whether an answer is a refusal of the access token.
 * @param {Session} session
 * @param {Carrying} carrying
 * @param {any} response as the adapter gives it: text is not parsed yet
 * @returns {Promise<?{over: ?string}>}
 */
async function judge({ home }, carrying, { status, headers, data, request }) {
  const speech = inFull(carrying);
  const landedOn = request?.responseURL || request?.res?.responseUrl;
  if (landedOn && !home.covers(landedOn)) return null;
  const type = headers?.get?.("Content-Type") ?? headers?.["content-type"];
  const isText = typeof data === "string" || data instanceof Blob || data?.byteLength !== undefined;
  const length = data?.size ?? data?.byteLength ?? data?.length;
  let document;
  if (wantsBody(speech, status, type, String(length))) {
    document = isText ? parseBody(await new Response(data).arrayBuffer()) : data;
  }
  return refusal(speech, status, document);
}

/**
 * One signal for both of axios' ways to cancel. What a wait rejects with is of no account: axios says it in its words.
 * @param {{signal?: any, cancelToken?: any}} config
 * @returns {[AbortSignal, () => void]} and what stops listening
 */
function cancellation({ signal, cancelToken }) {
  const controller = new AbortController();
  const abort = () => controller.abort();
  if (signal?.aborted || cancelToken?.reason) abort();
  signal?.addEventListener("abort", abort);
  const listening = cancelToken?.promise.then(abort);
  const release = () => {
    signal?.removeEventListener("abort", abort);
    listening?.cancel?.();
  };
  return [controller.signal, release];
}

/**
 * Upload progress that does not go back where a request is sent again.
 * @param {{onUploadProgress?: (event: any) => void}} config
 */
function forward({ onUploadProgress: tell }) {
  let furthest = 0;
  const onUploadProgress = (/** @type {any} */ event) => {
    if (event.loaded < furthest) return;
    furthest = event.loaded;
    tell?.(event);
  };
  return tell ? { onUploadProgress } : {};
}

/**
 * A copy of the same kind, with other members.
 * @param {any} original
 * @param {Record<string, unknown>} members
 */
const copy = (original, members) => Object.assign(Object.create(Object.getPrototypeOf(original)), original, members);
