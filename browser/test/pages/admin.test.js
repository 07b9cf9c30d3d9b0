/** The page "Admin": the figures, everybody's sessions, users and keys, in a browser against a whole server. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import {
  barriers, callAs, inEveryLook, profile, PYTHON, ROOT, SCREENSHOTS, signIn, signInElsewhere, skip, startSite,
} from "./support/stage.js";

const FILL = fileURLToPath(new URL("admin/fill.py", import.meta.url));
const IPHONE =
  "Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.1 Mobile/15E148 Safari/604.1";
const FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
const ROWS = 20;

let server;
let store;
before(async () => {
  if (skip) return;
  store = path.join(mkdtempSync(path.join(os.tmpdir(), "evertoken-admin-")), "evertoken.db");
  server = await startSite({ store, sessions_per_user: 10_000 });
});
after(async () => {
  await server?.stop();
  if (store) rmSync(path.dirname(store), { recursive: true });
});

/** Sessions of a user by the hundred, straight into the database. */
function fill(username, count, device = "Robot/1.0") {
  const env = { ...process.env, PYTHONPATH: [ROOT, path.join(ROOT, "src")].join(path.delimiter) };
  execFileSync(PYTHON, [FILL, store, `u_${username}`, username, String(count), device], { env, stdio: "inherit" });
}

/** The page, with ada signed in, who has the role. */
async function operator(t, options) {
  const { context, open, faults } = await profile(t, server, options);
  const page = await open("/admin");
  await signIn(page, server, "ada");
  await lead(page).waitFor();
  return { context, open, page, faults };
}

const section = (page, name) => page.getByRole("region", { name, exact: true });
const sessions = (page) => section(page, /^(Sessions|会话)$/);
const users = (page) => section(page, /^(Users|用户)$/);
const keys = (page) => section(page, /^(Signing keys|签名密钥)$/);
const lead = (page) => page.getByText(/access tokens? (is|are) out there|个访问令牌在外/);
const answer = (page, name) => page.getByRole("dialog").getByRole("button", { name, exact: true }).click();
const said = (page, text) => page.locator(".messages").getByText(text).waitFor();

/** Search in a section, and wait until it lists so many rows; their texts. */
async function search(page, where, text, count) {
  await where.getByRole("searchbox").fill(text);
  await where.getByRole("button", { name: "Search", exact: true }).click();
  return rows(page, where, count);
}

async function rows(page, where, count) {
  const table = where.locator("tbody");
  await page.waitForFunction(
    ([body, wanted]) => body.rows.length === wanted && !body.closest("[aria-busy]"), [await table.elementHandle(), count],
  );
  return table.locator("tr").allInnerTexts();
}

test("the first line says how many tokens are out there and whose, and a name leads to the sessions", { skip }, async (t) => {
  await server.addUser("holder");
  for (const device of [IPHONE, FIREFOX, "backup-script/2.1"]) await signInElsewhere(server, "holder", device);
  const { page } = await operator(t);
  await page.locator(".lead").getByRole("button", { name: "Show the sessions of holder, who holds 3" }).click();
  await said(page, "Only the sessions of holder are listed.");
  const listed = await rows(page, sessions(page), 3);
  for (const text of listed) assert.match(text, /^holder/);
  assert.equal(await page.evaluate(() => document.activeElement.id), "sessions");
  await page.getByRole("button", { name: "Show everybody’s" }).click();
  await page.waitForFunction(() => document.querySelectorAll("section:has(#sessions) tbody tr").length > 3);
});

test("thousands of sessions are turned over page by page, there and back", { skip }, async (t) => {
  await server.addUser("crowd");
  fill("crowd", 3000);
  const { page } = await operator(t);
  const where = sessions(page);
  const next = where.getByRole("button", { name: "Next page" });
  const previous = where.getByRole("button", { name: "Previous page" });
  await search(page, where, "crowd", ROWS);
  await where.getByText("Sessions 1 to 20, and more").waitFor();
  assert.equal(await previous.isDisabled(), true);
  const first = await times(where);
  await next.click();
  await where.getByText("Sessions 21 to 40, and more").waitFor();
  const second = await times(where);
  assert.ok(Math.min(...first) > Math.max(...second), "the newest stand first, and no session stands on two pages");
  await previous.click();
  await where.getByText("Sessions 1 to 20").waitFor();
  assert.deepEqual(await times(where), first);
  fill("crowd", 3, "the last of them");
  await search(page, where, "the last of", 3);
  assert.equal(await next.isDisabled(), true);
  await search(page, where, "100%_nobody", 0);
  await where.getByText("There is no such session.").waitFor();
});

/** When the listed sessions began. */
const times = (where) =>
  where.locator("td.created time").evaluateAll((found) => found.map((time) => Date.parse(time.dateTime)));

test("a session is ended after a question, and its token is refused from then on", { skip }, async (t) => {
  await server.addUser("evicted");
  const phone = await signInElsewhere(server, "evicted", IPHONE);
  const other = await signInElsewhere(server, "evicted", FIREFOX);
  const { page } = await operator(t);
  await search(page, sessions(page), "evicted", 2);
  const end = page.getByRole("button", { name: /^End the session of evicted on Safari 19/ });
  await end.click();
  await page.getByText("evicted is signed out at once on Safari 19 · iPhone at 127.0.0.1.").waitFor();
  await answer(page, "Cancel");
  assert.equal(await callAs(phone, server, "GET", "/auth/me"), 200);
  await end.click();
  await answer(page, "End");
  await said(page, "The session of evicted is ended.");
  await rows(page, sessions(page), 1);
  assert.equal(await callAs(phone, server, "GET", "/auth/me"), 401);
  assert.equal(await callAs(other, server, "GET", "/auth/me"), 200);
  await page.getByLabel("Which").selectOption("All of 30 days");
  const all = await rows(page, sessions(page), 2);
  assert.equal(all.filter((text) => text.includes("Ended from elsewhere")).length, 1);
});

test("the story of a session tells sign-in, refreshes and who ended it, and gives the focus back", { skip }, async (t) => {
  await server.addUser("told");
  const tokens = await signInElsewhere(server, "told", "script/1.0");
  await refreshed(tokens);
  const { page } = await operator(t);
  await search(page, sessions(page), tokens.session_id, 1);
  await page.getByRole("button", { name: "End the session of told on script/1.0" }).click();
  await answer(page, "End");
  await said(page, "The session of told is ended.");
  await page.getByLabel("Which").selectOption("All of 30 days");
  await rows(page, sessions(page), 1);
  const button = page.getByRole("button", { name: "The story of the session of told on script/1.0" });
  await button.click();
  const story = page.getByRole("dialog", { name: "The story of a session of told" });
  await story.waitFor();
  const events = await story.locator("ol li").allInnerTexts();
  assert.match(events[0], /Signed in\n127\.0\.0\.1 · script\/1\.0/);
  assert.match(events[1], /Refreshed/);
  assert.match(events.at(-1), /Ended: Ended from elsewhere\n127\.0\.0\.1 · .*\nby the operator u_ada/s);
  assert.match(await story.locator("dl").innerText(), new RegExp(tokens.session_id));
  await page.keyboard.press("Escape");
  await story.waitFor({ state: "detached" });
  assert.equal(await button.evaluate((element) => element === document.activeElement), true);
});

async function refreshed({ refresh_token }) {
  const response = await fetch(new URL("/auth/refresh", server.url), {
    method: "POST",
    headers: { "Content-Type": "application/json", "User-Agent": "script/1.0" },
    body: JSON.stringify({ refresh_token }),
    signal: AbortSignal.timeout(15_000),
  });
  assert.equal(response.status, 200);
}

test("a user is disabled and enabled, and all of a user's sessions end at once", { skip }, async (t) => {
  await server.addUser("managed");
  const first = await signInElsewhere(server, "managed");
  const { page } = await operator(t);
  const where = users(page);
  assert.match((await search(page, where, "MANAG", 1))[0], /^managed.*Enabled/s);
  await page.getByRole("button", { name: "1: show the sessions of managed" }).click();
  await rows(page, sessions(page), 1);
  await page.getByRole("button", { name: "Disable managed" }).click();
  await answer(page, "Disable");
  await said(page, "managed is disabled.");
  assert.match((await rows(page, where, 1))[0], /Disabled/);
  await rows(page, sessions(page), 0);
  assert.equal(await callAs(first, server, "GET", "/auth/me"), 401);
  await page.getByRole("button", { name: "Enable managed" }).click();
  await answer(page, "Enable");
  await said(page, "managed is enabled.");
  const second = await signInElsewhere(server, "managed");
  await search(page, where, "managed", 1);
  await page.getByRole("button", { name: "End sessions of managed, all of them" }).click();
  await answer(page, "End sessions");
  await said(page, "All sessions of managed are ended.");
  assert.equal(await callAs(second, server, "GET", "/auth/me"), 401);
});

test("a new signing key is announced after a question, and the old one goes on signing", { skip }, async (t) => {
  const { page } = await operator(t);
  const before = await keys(page).locator("tbody tr").count();
  await keys(page).getByRole("button", { name: "Make a new key" }).click();
  await answer(page, "Make a new key");
  await page.getByText(/The key .* is published and signs from/).waitFor();
  const listed = await rows(page, keys(page), before + 1);
  assert.match(listed[0], /ES256.*Announced/s);
  assert.match(listed[1], /Signing/);
});

test("who ends the session of this page is told so before, and is signed out", { skip }, async (t) => {
  const { page } = await operator(t);
  const own = sessions(page).locator("tbody tr", { hasText: "This one" });
  await own.getByRole("button", { name: /^End/ }).click();
  await page.getByText("This is the session of this page").waitFor();
  await answer(page, "End");
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  await page.getByText("this session was ended from elsewhere").waitFor();
});

test("the figures are kept up to date while one looks, and a failure is told once and taken back", { skip }, async (t) => {
  await server.addUser("newcomer");
  const { page, faults } = await operator(t);
  await page.clock.install();
  await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
  await signInElsewhere(server, "newcomer");
  await page.clock.runFor(11_000);
  await page.getByRole("button", { name: "Show the sessions of newcomer, who holds 1" }).or(page.getByText("others")).first().waitFor();
  await page.route("**/admin/overview", (route) => route.abort());
  await page.clock.runFor(11_000);
  await said(page, "The server does not answer.");
  await page.unroute("**/admin/overview");
  await page.clock.runFor(11_000);
  await page.waitForFunction(() => document.querySelector(".messages").textContent === "");
  faults.splice(0, Infinity, ...faults.filter((fault) => !fault.includes("ERR_FAILED")));
});

test("somebody without the role is told so, and nothing is asked of the server on their behalf", { skip }, async (t) => {
  const { open } = await profile(t, server);
  const page = await open("/admin");
  const asked = [];
  page.on("request", (request) => asked.push(new URL(request.url()).pathname));
  await signIn(page, server, "bob");
  await page.getByText("This page is for users with the role “admin”.").waitFor();
  assert.deepEqual(asked.filter((address) => address.startsWith("/admin/")), []);
});

test("what a stranger has put into a device or a name stays text", { skip }, async (t) => {
  const nasty = "<img src=x onerror=alert(1)>";
  await server.addUser(nasty);
  await signInElsewhere(server, nasty, '"><script>alert(1)</script>');
  const { page } = await operator(t);
  const [row] = await search(page, sessions(page), "<img", 1);
  assert.ok(row.startsWith(nasty) && row.includes('"><script>alert(1)</script>'), row);
  assert.equal(await page.locator("main img, main script").count(), 0);
});

test("everything can be reached and done by the keyboard alone", { skip }, async (t) => {
  await server.addUser("keyed");
  const tokens = await signInElsewhere(server, "keyed", "keyed/1");
  const { page } = await operator(t);
  const press = (...names) => names.reduce((done, name) => done.then(() => page.keyboard.press(name)), Promise.resolve());
  await sessions(page).getByRole("searchbox").focus();
  await page.keyboard.type("keyed");
  await press("Enter");
  await rows(page, sessions(page), 1);
  await press("Tab", "Tab", "Tab"); // which, search, story
  assert.equal(await focused(page), "The story of the session of keyed on keyed/1");
  await press("Enter");
  await page.getByRole("dialog").waitFor();
  await press("Escape");
  await page.getByRole("dialog").waitFor({ state: "hidden" });
  await press("Tab");
  assert.equal(await focused(page), "End the session of keyed on keyed/1");
  await press("Enter");
  await page.getByRole("dialog").waitFor();
  await press("Tab", "Enter"); // from Cancel to End
  await said(page, "The session of keyed is ended.");
  assert.equal(await callAs(tokens, server, "GET", "/auth/me"), 401);
  assert.equal(await page.evaluate(() => document.activeElement.id), "sessions", "the focus is not lost with its button");
});

const focused = (page) =>
  page.evaluate(() => document.activeElement?.getAttribute("aria-label") ?? document.activeElement?.textContent);

test("what is searched for outlives a switch of the language", { skip }, async (t) => {
  await server.addUser("bilingual");
  await signInElsewhere(server, "bilingual");
  const { page } = await operator(t);
  await search(page, sessions(page), "bilingual", 1);
  await page.locator("header select").selectOption("zh");
  await page.getByText("第 1 至 1 个会话").waitFor();
  assert.equal(await sessions(page).getByRole("searchbox").inputValue(), "bilingual");
});

test("axe finds nothing on the page and its dialogs, light and dark, in English and Chinese", { skip }, async (t) => {
  await server.addUser("robbed");
  await signInElsewhere(server, "robbed", IPHONE);
  await fetch(new URL("/auth/login", server.url), {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ username: "robbed", password: "no" }),
  });
  const { page } = await operator(t, { viewport: { width: 1280, height: 900 } });
  const ready = async () => {
    await lead(page).waitFor();
    await page.waitForFunction(() => document.querySelectorAll("tbody").length >= 7 && document.querySelectorAll("[aria-busy]").length === 0);
  };
  await inEveryLook(page, "admin", ready);
  for (const language of ["zh", "en"]) {
    await page.locator("header select").selectOption(language);
    await ready();
    for (const button of [/的经过$|^The story/, /^结束 |^End the session/]) {
      await sessions(page).getByRole("button", { name: button }).first().click();
      await page.getByRole("dialog").waitFor();
      for (const colorScheme of ["light", "dark"]) {
        await page.emulateMedia({ colorScheme });
        assert.deepEqual(await barriers(page), [], `dialog ${language} ${colorScheme}`);
        await page.screenshot({ path: path.join(SCREENSHOTS, `admin-dialog-${language}-${colorScheme}.png`) });
      }
      await page.keyboard.press("Escape");
      await page.getByRole("dialog").waitFor({ state: "detached" });
    }
  }
});

test("on a telephone nothing is cut off and nothing scrolls sideways", { skip }, async (t) => {
  const { page } = await operator(t, { viewport: { width: 360, height: 740 } });
  await page.waitForFunction(() =>
    ["sessions", "users", "keys"].every((name) => document.querySelectorAll(`section:has(#${name}) tbody tr`).length > 0));
  const cut = await page.evaluate(() =>
    [document.documentElement, ...document.querySelectorAll("main, section, .table")]
      .filter((element) => element.scrollWidth > element.clientWidth && element.checkVisibility())
      .map((element) => `${element.tagName} ${element.className} ${element.scrollWidth} > ${element.clientWidth}`));
  assert.deepEqual(cut, []);
  await sessions(page).scrollIntoViewIfNeeded();
  await page.screenshot({ path: path.join(SCREENSHOTS, "admin-telephone.png") });
});
