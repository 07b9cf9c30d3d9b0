// @ts-check
/** Why a request was not answered: `signed_out` with its reason, or `refresh_unavailable`, the tokens kept. */
export class SessionError extends Error {
  name = "SessionError";

  /**
   * @param {"signed_out" | "refresh_unavailable" | "sign_in_refused" | "not_replayable" | "store_refused"} code
   * @param {string} message
   * @param {{reason?: string, retryAfterSeconds?: number, response?: unknown, cause?: unknown}} [more]
   */
  constructor(code, message, more) {
    super(message, more);
    this.code = code;
    Object.assign(this, more);
  }
}

/** @param {string} reason */
export const signedOut = (reason) => new SessionError("signed_out", `signed out (${reason}): sign in again`, { reason });
