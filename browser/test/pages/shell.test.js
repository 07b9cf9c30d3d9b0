/** What all pages have in common: signing in and out, languages, themes, messages. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { inEveryLook, LAN, profile, signIn, skip, startSite } from "./support/stage.js";

let server;
before(async () => {
  server = skip ? null : await startSite();
});
after(() => server?.stop());

const form = (page) => page.getByRole("heading", { name: /^(Sign in|登录)$/ });
const signedInAs = (page, name) => page.getByText(`Signed in as ${name}`);
const focused = (page) => page.evaluate(() => document.activeElement?.getAttribute("name") ?? document.activeElement?.id);
const ground = (page) => page.evaluate(() => getComputedStyle(document.body).backgroundColor);

const LIGHT = "rgb(245, 246, 248)";
const DARK = "rgb(20, 23, 28)";

test("the page asks who it is, goes on with whoever signs in, and asks nothing after a reload", { skip }, async (t) => {
  const { open } = await profile(t, server);
  const page = await open("/sessions");
  await form(page).waitFor();
  assert.equal(await page.title(), "My sessions · evertoken");
  assert.equal(await focused(page), "username");
  await signIn(page, server, "bob");
  await signedInAs(page, "bob").waitFor();
  assert.equal(await focused(page), "content");
  await page.reload();
  await signedInAs(page, "bob").waitFor();
  assert.equal(await focused(page), "", "a reload moves no focus");
});

test("no page keeps the refresh token or the access token where a script could read it", { skip }, async (t) => {
  const { context, open } = await profile(t, server);
  const page = await open("/sessions");
  await signIn(page, server, "bob");
  const kept = await page.evaluate(async () => {
    const databases = await indexedDB.databases();
    const stores = databases.map(({ name }) => new Promise((resolve, reject) => {
      const opening = indexedDB.open(name);
      opening.onerror = () => reject(opening.error);
      opening.onsuccess = () => {
        const reading = opening.result.transaction("session").objectStore("session").getAll();
        reading.onsuccess = () => resolve(JSON.stringify(reading.result));
      };
    }));
    return [JSON.stringify({ ...localStorage }), document.cookie, ...(await Promise.all(stores))].join("\n");
  });
  assert.match(kept, /session_id/, "the record was read");
  assert.doesNotMatch(kept, /etr_|eyJ/);
  const cookies = await context.cookies();
  assert.deepEqual(cookies.map(({ httpOnly, sameSite, secure }) => ({ httpOnly, sameSite, secure })), [
    { httpOnly: true, sameSite: "Strict", secure: true },
  ]);
});

test("a sign-in that is refused is explained at the form, which keeps the user name", { skip }, async (t) => {
  const { open } = await profile(t, server);
  const page = await open("/sessions");
  await page.getByLabel("User name").fill("bob");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByText("Enter a user name and a password.").waitFor();
  assert.equal(await focused(page), "password");
  await page.getByLabel("Password").fill("not-the-password-of-bob");
  await page.keyboard.press("Enter");
  await page.getByText("The user name or the password is wrong.").waitFor();
  assert.equal(await page.getByLabel("User name").inputValue(), "bob");
  assert.equal(await focused(page), "password");
});

test("the way to the admin page is shown to administrators only", { skip }, async (t) => {
  const { open } = await profile(t, server);
  const page = await open("/sessions");
  await signIn(page, server, "bob");
  const links = () => page.getByRole("navigation").getByRole("link").allTextContents();
  assert.deepEqual(await links(), ["My sessions"]);
  await page.getByRole("button", { name: "Sign out" }).click();
  await signIn(page, server, "ada");
  const pages = await page.evaluate(() => document.documentElement.dataset.pages);
  assert.equal((await links()).includes("Admin"), pages.includes("admin"));
  assert.equal(await page.locator("nav [aria-current=page]").textContent(), "My sessions");
});

test("signing out in one tab signs out in every tab, and signing in again serves them all", { skip }, async (t) => {
  const { open } = await profile(t, server);
  const first = await open("/sessions");
  await signIn(first, server, "bob");
  const second = await open("/sessions");
  await signedInAs(second, "bob").waitFor();
  await first.getByRole("button", { name: "Sign out" }).click();
  for (const page of [first, second]) {
    await form(page).waitFor();
    await page.getByText("You are signed out.").waitFor();
  }
  await signIn(second, server, "bob");
  await signedInAs(first, "bob").waitFor();
});

test("a tab in which somebody else has signed in meanwhile offers to be loaded again", { skip }, async (t) => {
  const { open } = await profile(t, server);
  const page = await open("/sessions");
  await signIn(page, server, "bob");
  const other = await open("/sessions");
  await signedInAs(other, "bob").waitFor();
  await other.evaluate(async (password) => {
    const { createSession } = await import("/auth/client.js");
    await createSession().login({ username: "ada", password });
  }, server.password);
  await page.getByText("Somebody else has signed in in this browser.").waitFor();
  await page.getByRole("button", { name: "Load the page again" }).click();
  await signedInAs(page, "ada").waitFor();
});

test("a server that does not answer is told, and one click tries again", { skip }, async (t) => {
  const { context, open, faults } = await profile(t, server);
  const page = await open("/sessions");
  await signIn(page, server, "bob");
  await context.route("**/auth/me", (route) => route.abort());
  await page.reload();
  await page.getByText("The server does not answer. You are still signed in.").waitFor();
  await context.unroute("**/auth/me");
  await page.getByRole("button", { name: "Try again" }).click();
  await signedInAs(page, "bob").waitFor();
  assert.equal(await page.getByText("The server does not answer.").count(), 0);
  const refused = faults.splice(0);
  assert.ok(refused.length > 0 && refused.every((fault) => fault.includes("net::ERR_FAILED")), refused.join("\n"));
});

test("the language is the browser's until another is chosen, and that is remembered", { skip }, async (t) => {
  const { open } = await profile(t, server, { locale: "zh-CN" });
  const page = await open("/sessions");
  await page.getByRole("heading", { name: "登录" }).waitFor();
  assert.equal(await page.title(), "我的会话 · evertoken");
  await signIn(page, server, "bob");
  await page.getByRole("combobox", { name: "语言" }).selectOption("en");
  await signedInAs(page, "bob").waitFor();
  assert.equal(await page.title(), "My sessions · evertoken");
  assert.equal(await page.evaluate(() => document.activeElement?.tagName), "SELECT");
  await page.reload();
  await signedInAs(page, "bob").waitFor();
  assert.equal(await page.evaluate(() => document.documentElement.lang), "en");
});

test("the theme is the browser's until it is switched, and that is remembered", { skip }, async (t) => {
  const { open } = await profile(t, server, { colorScheme: "dark" });
  const page = await open("/sessions");
  const dark = page.getByRole("button", { name: "Dark" });
  await dark.waitFor();
  assert.deepEqual([await ground(page), await dark.getAttribute("aria-pressed")], [DARK, "true"]);
  await dark.click();
  assert.deepEqual([await ground(page), await dark.getAttribute("aria-pressed")], [LIGHT, "false"]);
  await page.reload();
  await dark.waitFor();
  assert.equal(await ground(page), LIGHT);
  await dark.click();
  assert.equal(await ground(page), DARK);
});

test("the sign-in form has no barriers in either language and theme", { skip }, async (t) => {
  const { open } = await profile(t, server);
  const page = await open("/sessions");
  await page.getByRole("button", { name: "Sign in" }).click();
  await inEveryLook(page, "sign-in", async () => {
    await form(page).waitFor();
    await page.getByRole("button", { name: /^(Sign in|登录)$/ }).click();
    await page.locator("form > .field-error:not(:empty)").waitFor();
  });
});

test("on plain http in a LAN the pages work, and say what is weaker", { skip }, async (t) => {
  const lan = await startSite({ host_name: LAN });
  t.after(() => lan.stop());
  const { open } = await profile(t, lan);
  const page = await open("/sessions");
  assert.equal(await page.evaluate(() => isSecureContext), false);
  await signIn(page, lan, "bob");
  await page.getByText("no Web Locks").waitFor();
  // As in a tab that remembers nothing: who it is, only the cookie knows.
  await page.evaluate(() => new Promise((resolve, reject) => {
    const request = indexedDB.deleteDatabase("evertoken");
    request.onsuccess = resolve;
    request.onerror = () => reject(request.error);
  }));
  await page.reload();
  await signedInAs(page, "bob").waitFor();
});

test("a page for administrators tells others that it is not for them, and asks the server nothing", { skip }, async (t) => {
  const { open } = await profile(t, server);
  const page = await open("/sessions");
  await signIn(page, server, "bob");
  const asked = [];
  page.on("request", (request) => asked.push(new URL(request.url()).pathname));
  await page.goto("/admin");
  await page.getByText("This page is for users with the role “admin”.").waitFor();
  await signedInAs(page, "bob").waitFor();
  assert.deepEqual(asked.filter((path) => path.startsWith("/admin/")), []);
});
