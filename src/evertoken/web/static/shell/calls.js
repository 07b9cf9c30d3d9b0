// @ts-check
/** Answers of the server as values, and what went wrong as a sentence. */

import { SessionError } from "../client.js";
import { t } from "../i18n.js";

/** A refusal (RFC 9457): programs go by `code`, people by `detail`. */
export class Problem extends Error {
  /**
   * @param {number} status
   * @param {{code?: string, detail?: string}} document
   * @param {?number} retryAfterSeconds
   */
  constructor(status, { code = String(status), detail = "" } = {}, retryAfterSeconds = null) {
    super(detail || code);
    this.name = "Problem";
    this.status = status;
    this.code = code;
    this.detail = detail;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/** No answer came: the network, or the server, is not there. Nobody is signed out by it. */
export class Unreachable extends Error {
  /** @param {string} path @param {ErrorOptions} options */
  constructor(path, options) {
    super(`no answer from ${path}`, options);
    this.name = "Unreachable";
    this.code = "unreachable";
  }
}

/** Whether this is a refusal or a failure that pages reckon with; anything else is a fault of theirs. @param {unknown} error */
export const isExpected = (error) =>
  error instanceof SessionError || error instanceof Problem || error instanceof Unreachable;

/**
 * The JSON of an answer; undefined where it has no body.
 * @param {Response} response
 * @throws {Problem} the answer is a refusal
 */
export async function read(response) {
  if (response.status === 204) return undefined;
  if (response.ok) return response.json();
  const isJSON = /\bjson\b/.test(response.headers.get("Content-Type") ?? "");
  const retryAfter = Number.parseInt(response.headers.get("Retry-After") ?? "", 10);
  throw new Problem(response.status, isJSON ? await response.json() : {}, Number.isNaN(retryAfter) ? null : retryAfter);
}

/** What went wrong, for a person. @param {unknown} error */
export function explain(error) {
  if (error instanceof Problem) {
    if (error.status === 503) return t("error.unavailable");
    if (error.code === "insufficient_rights") return t("error.rights");
    return t("error.other", error.detail || error.code);
  }
  if (error instanceof SessionError && error.code === "refresh_unavailable") return t("error.unavailable");
  if (error instanceof Unreachable) return t("error.offline");
  return t("error.other", error instanceof Error ? error.message : String(error));
}
