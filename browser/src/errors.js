// @ts-check
/** Why a request was not answered: `signed_out` with its reason, or `refresh_unavailable`, the tokens kept. */
export class SessionError extends Error {
  /**
   * @param {"signed_out" | "refresh_unavailable" | "sign_in_refused" | "not_replayable" | "store_refused"} code
   * @param {string} message
   * @param {{reason?: string, retryAfterSeconds?: number, response?: unknown, cause?: unknown}} more
   */
  constructor(code, message, { cause, ...more } = {}) {
    super(message, { cause });
    this.name = "SessionError";
    this.code = code;
    Object.assign(this, more);
  }
}
