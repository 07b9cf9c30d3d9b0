// @ts-check
/** The faults of the published set-ups that lie in the requests, not in the refresh: as in cases.js. */

import assert from "node:assert/strict";

import { ALL, expired, refreshed } from "./cases.js";
import { MINUTE, words } from "./stage.js";

/** Without what a browser makes up for each sending. @param {Buffer} sent */
const plain = (sent) => sent.toString("latin1").replaceAll(/WebKitFormBoundary\w+/g, "boundary");

/** How the second sending compares with the first. @param {import("./front.js").Passed[]} passed */
function compared(passed) {
  if (passed.length < 2) return "not sent again";
  const [first, second] = passed.slice(-2).map(({ sent }) => plain(sent));
  return first === second ? "the same" : second === "" ? "empty" : "another";
}

/** @type {import("./cases.js").Fault[]} */
export const REQUESTS = [
  {
    number: 5,
    title: "a call is made while the machine is offline",
    dialects: ["status-code-in-body", "nest", "get-refresh"],
    play: async ({ tab, context }) => {
      await tab.open();
      assert.equal(await tab.enter(), null);
      await context.setOffline(true);
      const { error, message } = await tab.call("/bbb/1");
      await context.setOffline(false);
      return { error, message, next: words([await tab.call("/bbb/2")])[0] };
    },
    tell: ({ error, message }) => `the caller gets ${error}: ${message}`,
    isRight: ({ message, next }, _, kind) =>
      assert.deepEqual([message, next], [kind === "fetch" ? "Failed to fetch" : "Network Error", 200]),
    ours: "the caller gets what fetch and axios say of a network that is not there",
  },
  {
    number: 10,
    title: "the refresh token travels in the URL",
    dialects: ["nest", "get-refresh", "code-in-400"],
    isMixed: true,
    play: async (stage) => {
      await expired(stage);
      assert.deepEqual(words([await stage.tab.call("/bbb/1")]), [200]);
      const [{ url }] = stage.front.of(stage.setup.refresh);
      const token = [...new URL(url, "http://any").searchParams.values()].at(-1) ?? "";
      const { log } = await stage.records();
      const warning = new RegExp(`dialect ${stage.front.told.DIALECT}: .*token in the URL`);
      return { isInURL: token.length > 20, isLogged: log.includes(token), warns: warning.test(log) };
    },
    tell: ({ isInURL, isLogged, warns }) =>
      `${isInURL ? "in the URL" : "not in the URL"}, ${isLogged ? "logged" : "in no log of the server's"}` +
      (warns ? ", which warns at its start" : ""),
    isRight: (seen) => assert.deepEqual(seen, { isInURL: true, isLogged: false, warns: true }),
    ours: "speaks as that API does, and evertoken's server allows it with `--allow-token-in-url` only",
  },
  {
    number: 12,
    title: "a wrong password at sign-in",
    dialects: ["nest"],
    isMixed: true,
    play: async (stage) => {
      const { front, tab, setup } = stage;
      await tab.open();
      const said = await tab.enter("not-the-password");
      const [{ status }] = front.of(setup.login);
      return { status, refreshes: stage.refreshes(), error: said?.error, alerts: tab.alerts };
    },
    tell: ({ status, refreshes, error, alerts }) =>
      `answered with ${status}; ${refreshed(refreshes)}; the page gets ${error}; the user is told "${alerts}"`,
    isRight: (seen) => assert.deepEqual(seen, { status: 401, refreshes: 0, error: "sign_in_refused", alerts: [] }),
    ours: "answered with 401; no refresh, and `login` rejects with `sign_in_refused`",
  },
  {
    number: 13,
    title: "how the password stands in the database",
    dialects: ["nest"],
    isMixed: true,
    play: async (stage) => {
      await stage.tab.open();
      assert.equal(await stage.tab.enter(), null);
      const { holdsPassword, hash } = await stage.records();
      return { holdsPassword, hash };
    },
    tell: ({ holdsPassword, hash }) => holdsPassword ? "in clear" : `evertoken's server keeps ${hash}, for whichever page`,
    isRight: (seen) => assert.deepEqual(seen, { holdsPassword: false, hash: "an Argon2id hash" }),
    ours: "the same",
  },
  {
    number: 14,
    title: "FormData, JSON and a download are sent again, and a call is given up while it waits",
    dialects: ALL,
    isMixed: true,
    play: async (stage) => {
      const { front, tab, setup, move } = stage;
      await expired(stage);
      const seen = /** @type {Record<string, unknown>} */ ({});
      for (const kind of ["form", "json"]) {
        const body = kind === "form" ? { form: true } : { json: { note: "größer ✓", list: [1, { two: "2" }] } };
        await tab.call(`/bbb/${kind}`, { method: "post", body });
        seen[kind] = compared(front.of(`/bbb/${kind}`));
        await move(31 * MINUTE);
      }
      const file = await tab.call("/bbb/file", { responseType: "blob" });
      seen.download = front.of("/bbb/file").length === 2 && file.status === 200 ? "whole" : "the refusal, not the file";
      await move(31 * MINUTE);
      const refresh = front.hold(setup.refresh, "asked");
      await tab.start("/bbb/gone", { isAbortable: true });
      await front.until("a refusal", () => front.of("/bbb/gone").some(({ status }) => status > 0));
      await tab.quiet(60);
      await tab.page.evaluate(() => /** @type {any} */ (window).app.abort("/bbb/gone"));
      await tab.quiet(60);
      const [during] = words(await tab.now(["/bbb/gone"]));
      refresh.release();
      await tab.quiet();
      seen.gone = during === "given up" ? "at once" : "after the refresh";
      seen.sendings = front.of("/bbb/gone").length;
      return seen;
    },
    tell: ({ form, json, download, gone, sendings }) =>
      `FormData: ${form}; JSON: ${json}; download: ${download}; given up: ends ${gone}` +
      (sendings > 1 ? ", and is sent all the same" : ""),
    isRight: (seen) =>
      assert.deepEqual(seen, { form: "the same", json: "the same", download: "whole", gone: "at once", sendings: 1 }),
    ours: "the same bytes, the whole file; a call that is given up ends at once and is not sent again",
  },
];
