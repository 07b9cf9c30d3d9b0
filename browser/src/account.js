// @ts-check
/** Sign-in, sign-out, and the question who is signed in: loaded when a page first needs one of them. */

import { sendCall } from "./calls.js";
import { EMPTY, renewed } from "./decide/record.js";
import { inFull } from "./decide/speech.js";
import { successor } from "./decide/succession.js";
import { isToken } from "./decide/texts.js";
import { readTokens } from "./decide/tokens.js";
import { SessionError } from "./errors.js";
import { lack } from "./keep/weaknesses.js";
import { write } from "./keep/writing.js";

/** @typedef {import("./session.js").Session} Session */
/** @typedef {import("./decide/record.js").Record} Record */

/** How long a sign-out waits for its answer. */
const SIGN_OUT_MS = 10_000;
const WHAT = { login: "sign-in", logout: "sign-out", csrf: "question who is here", refresh: "refresh" };
const KEEPS_NO_COOKIE = "the browser keeps no cookie of this server (is it another site?): signed in until the token ends";

/**
 * Sign in.
 * @param {Session} session
 * @param {{username: string, password: string, [member: string]: unknown}} who
 */
export async function signIn(session, { username, password, ...more }) {
  const speech = speechOf(session);
  const { isCookie, find } = speech;
  const sign = async () => {
    const sentAt = Date.now() / 1000;
    const members = { ...speech.more, username, password, ...more };
    const { status, document } = await asked(session, "login", null, session.timeoutSeconds * 1000, members);
    const isGood = status >= 200 && status < 300 && speech.verdict(status, document) === "accepted";
    const { tokens } = readTokens(speech, document);
    if (!isGood || !tokens) {
      const reason = /** @type {string} */ (find(document, "code") ?? String(status));
      const detail = find(document, "detail") ?? "";
      throw new SessionError("sign_in_refused", `sign-in refused (${reason}) ${detail}`.trim(), { reason });
    }
    // A page that may not read the server's cookie asks for what stands in it.
    if (isCookie) tokens.refresh_token ??= (await found(session))?.refresh_token ?? null;
    return replace(session, successor({ ...EMPTY, server: session.baseURL, account: username }, tokens, sentAt));
  };
  if (!speech.call("login", null, {})) throw new SessionError("sign_in_refused", "the dialect has no sign-in");
  // Under the lease where there is a cookie: that of a refresh of the session before must not come after ours.
  const record = await (isCookie ? underLease(session, sign) : sign());
  session.gate.tookOver(renewed(record, true));
  session.tell("signedin", { isElsewhere: false });
  if (isCookie && new URL(session.baseURL).origin !== globalThis.location?.origin) {
    const kept = await found(session).catch(() => record);
    if (kept?.session_id !== record.session_id) lack(session, KEEPS_NO_COOKIE);
  }
}

/** End the session, at the server and in every tab. @param {Session} session */
export async function signOut(session) {
  const { gate } = session;
  const speech = speechOf(session);
  await underLease(session, async () => {
    const [document, stored] = await gate.read(true);
    // What the storage has forgotten, the browser's cookie still knows.
    const token = stored?.refresh_token ?? (await found(session))?.refresh_token;
    if (token && speech.call("logout", token)) {
      const { status, document: said } = await asked(session, "logout", token, SIGN_OUT_MS);
      const isOver = status === 401 || speech.verdict(status, said, true) === "over";
      if ((status < 200 || status >= 300) && !isOver) {
        throw new SessionError("refresh_unavailable", `the server has not confirmed the sign-out (${status})`);
      }
    }
    await write(gate, document, null);
  });
  gate.tookOver({ ended: { reason: "signed_out" } });
}

/**
 * In cookie mode, where nothing that lives is remembered: what the page goes on with; null: nobody is signed in.
 * @param {Session} session
 * @param {?Record} stored
 */
export async function ask(session, stored) {
  const here = await found(session);
  const isSame = here !== null && here.session_id !== null && here.session_id === stored?.session_id;
  // The browser keeps the cookie of a session that has ended at the server.
  if (!here || (isSame && stored?.ended)) return null;
  return isSame ? stored : replace(session, here);
}

/** The session of the browser's cookie, of which nothing is remembered here. @param {Session} session @returns {Promise<?Record>} */
async function found(session) {
  const { call, find, isCookie, verdict } = speechOf(session);
  if (!isCookie) return null;
  const isAsked = call("csrf", null) !== null;
  const { status, document } = isAsked
    ? await asked(session, "csrf", null, session.timeoutSeconds * 1000)
    : { status: 200, document: undefined };
  const refresh_token = /** @type {?string} */ (find(document, "refresh_token") ?? null);
  if (status === 401 || verdict(status, document) !== "accepted" || (!isAsked && !refresh_token)) return null;
  if (status !== 200 || !isToken(refresh_token)) {
    throw new SessionError("refresh_unavailable", `the server does not say who is signed in (${status})`);
  }
  const session_id = /** @type {?string} */ (find(document, "session_id") ?? null);
  // An account that nobody has named: two sessions that were found by their cookies are two users.
  return { ...EMPTY, server: session.baseURL, refresh_token, session_id, account: `session:${session_id}` };
}

/** Put a record in the place of whatever stands in the store. @param {Session} session @param {Record} record */
async function replace({ gate }, record) {
  for (;;) {
    const [document, old] = await gate.read(true);
    const next = { ...record, version: (old?.version ?? 0) + 1 };
    if (await write(gate, document, next)) return next;
  }
}

/**
 * @template T
 * @param {Session} session
 * @param {() => Promise<T>} work
 */
async function underLease(session, work) {
  // First of all, so that a storage that does not work has given way to memory, and a foreign one is told.
  await session.gate.read(true);
  return session.store.lease(work, session.timeoutSeconds * 1000);
}

/**
 * @param {Session} session
 * @param {import("./decide/speech.js").Call} name
 * @param {?string} token
 * @param {number} timeoutMs
 * @param {{[member: string]: unknown}} [members]
 */
const asked = (session, name, token, timeoutMs, members) =>
  sendCall(session, name, token, timeoutMs, members).catch((cause) => {
    throw new SessionError("refresh_unavailable", `no answer to the ${WHAT[name]}: ${cause.message}`, { cause });
  });

/** @param {Session} session */
const speechOf = (session) => inFull(session.speech);
