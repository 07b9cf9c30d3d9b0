/** The page "My sessions": where one is signed in, ending it from afar, changing the password. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import {
  barriers, callAs, inEveryLook, profile, screenshot, signIn, signInElsewhere, skip, startSite,
} from "./support/stage.js";

const IPHONE =
  "Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.1 Mobile/15E148 Safari/604.1";
const FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

let server;
before(async () => {
  server = skip ? null : await startSite();
});
after(() => server?.stop());

/** A user of this test alone, signed in on the page. */
async function visitor(t, username, options) {
  await server.addUser(username);
  const { context, open, faults } = await profile(t, server, options);
  const page = await open("/sessions");
  await signIn(page, server, username);
  await rows(page, 1);
  return { context, open, page, faults };
}

/** Wait until so many sessions are listed; their texts. */
async function rows(page, count) {
  await page.waitForFunction((wanted) => document.querySelectorAll("tbody tr").length === wanted, count);
  return page.locator("tbody tr").allInnerTexts();
}

/** The list as it is now: a page that is loaded again asks at once. */
async function reloaded(page, count) {
  await page.reload();
  return rows(page, count);
}

const end = (page, device) => page.getByRole("button", { name: new RegExp(`^End the session on ${device}`) });
const answer = (page, name) => page.getByRole("dialog").getByRole("button", { name, exact: true }).click();
const current = (page) => page.getByLabel("Current password");
const next = (page) => page.getByLabel("New password");
const change = (page) => page.getByRole("button", { name: "Change password" }).click();

test("every session is listed with its device, address and times, and this one is marked", { skip }, async (t) => {
  const { page } = await visitor(t, "lists");
  await signInElsewhere(server, "lists", IPHONE);
  await signInElsewhere(server, "lists", "backup-script/2.1");
  const listed = await reloaded(page, 3);
  const marked = listed.filter((text) => text.includes("This one"));
  assert.equal(marked.length, 1);
  assert.match(marked[0], /^Chrome \d+ · Linux/);
  assert.ok(listed.some((text) => text.startsWith("Safari 19 · iPhone")), listed.join("\n"));
  assert.ok(listed.some((text) => text.startsWith("backup-script/2.1")), listed.join("\n"));
  for (const text of listed) assert.match(text, /127\.0\.0\.1/);
  const times = page.locator("tbody time");
  assert.equal(await times.count(), 6);
  for (const time of await times.all()) {
    const age = Date.now() - Date.parse(await time.getAttribute("datetime"));
    assert.ok(age > -2_000 && age < 120_000, `a time of this test, not ${age} ms ago`);
  }
});

test("another session is ended after a question, and its token is refused from then on", { skip }, async (t) => {
  const { page } = await visitor(t, "ends");
  const phone = await signInElsewhere(server, "ends", IPHONE);
  const script = await signInElsewhere(server, "ends", "backup-script/2.1");
  await reloaded(page, 3);
  await end(page, "Safari 19").click();
  await answer(page, "Cancel");
  assert.equal(await callAs(phone, server, "GET", "/auth/me"), 200);
  await end(page, "Safari 19").click();
  await answer(page, "End");
  await page.getByText("The session is ended.").waitFor();
  await rows(page, 2);
  assert.equal(await callAs(phone, server, "GET", "/auth/me"), 401);
  assert.equal(await callAs(script, server, "GET", "/auth/me"), 200);
});

test("all other sessions are ended at once, and this one goes on", { skip }, async (t) => {
  const { page } = await visitor(t, "alone");
  const others = [await signInElsewhere(server, "alone", IPHONE), await signInElsewhere(server, "alone", FIREFOX)];
  await reloaded(page, 3);
  const button = page.getByRole("button", { name: "End all others" });
  await button.click();
  await page.getByText("All 2 other sessions are signed out at once.").waitFor();
  await answer(page, "End all others");
  await page.getByText("All other sessions are ended.").waitFor();
  assert.match((await rows(page, 1))[0], /This one/);
  assert.equal(await button.isDisabled(), true);
  for (const other of others) assert.equal(await callAs(other, server, "GET", "/auth/me"), 401);
});

test("a session that is ended from elsewhere says so on its page, with the reason in words", { skip }, async (t) => {
  const { page } = await visitor(t, "evicted");
  const phone = await signInElsewhere(server, "evicted", IPHONE);
  assert.equal(await callAs(phone, server, "DELETE", "/auth/sessions?keep=current"), 204);
  // As when somebody looks at the page again: it does not wait for its next turn.
  await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
  await page.getByText("this session was ended from elsewhere").waitFor();
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  assert.deepEqual(await barriers(page), []);
  await screenshot(page, "sessions-ended-elsewhere");
});

test("a list that is looked at learns of a new session without being asked", { skip }, async (t) => {
  const { page } = await visitor(t, "watched");
  await signInElsewhere(server, "watched", FIREFOX);
  await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
  await rows(page, 2);
});

test("a hidden page does not ask for the list", { skip }, async (t) => {
  const { page } = await visitor(t, "hidden");
  const asked = [];
  page.on("request", (request) => asked.push(new URL(request.url()).pathname));
  await page.clock.install();
  await page.evaluate(() => {
    Object.defineProperty(document, "visibilityState", { configurable: true, get: () => "hidden" });
    document.dispatchEvent(new Event("visibilitychange"));
  });
  await page.clock.runFor(120_000);
  assert.deepEqual(asked, []);
  await page.evaluate(() => {
    delete document.visibilityState;
    document.dispatchEvent(new Event("visibilitychange"));
  });
  await page.waitForRequest("**/auth/sessions").catch(() => assert.ok(asked.includes("/auth/sessions")));
});

test("the password is changed, and every other session ends", { skip }, async (t) => {
  const { page } = await visitor(t, "careful");
  const phone = await signInElsewhere(server, "careful", IPHONE);
  await reloaded(page, 2);
  await current(page).fill(server.password);
  await next(page).fill("sudden-lantern-orchard");
  await change(page);
  await page.getByText("The password is changed. Every other session has ended.").waitFor();
  await rows(page, 1);
  assert.equal(await callAs(phone, server, "GET", "/auth/me"), 401);
  assert.deepEqual([await current(page).inputValue(), await next(page).inputValue()], ["", ""]);
  await page.getByRole("button", { name: "Sign out" }).click();
  await signIn(page, { password: "sudden-lantern-orchard" }, "careful");
});

test("a password that is refused says why at its field, in the server's words", { skip }, async (t) => {
  const { page } = await visitor(t, "hasty");
  const told = async (field, text) => {
    await field.locator("xpath=..").getByText(text).waitFor();
    assert.equal(await field.getAttribute("aria-invalid"), "true");
    const ids = (await field.getAttribute("aria-describedby")).split(" ");
    const words = await Promise.all(ids.map((id) => page.locator(`#${id}`).textContent()));
    assert.match(words.join(" "), new RegExp(text), "it is told together with the field");
    assert.equal(await page.evaluate(() => document.activeElement?.getAttribute("aria-invalid")), "true");
  };
  await change(page);
  await told(current(page), "Enter a password.");
  await current(page).fill(server.password);
  await next(page).fill("too-short");
  await change(page);
  await told(next(page), "Use at least 15 characters; this has 9.");
  assert.equal(await current(page).getAttribute("aria-invalid"), "false");
  await next(page).fill("aaaaaaaaaaaaaaaaaaaa");
  await change(page);
  await told(next(page), "This repeats itself");
  await current(page).fill("not-the-password-at-all");
  await next(page).fill("sudden-lantern-orchard");
  await change(page);
  await told(current(page), "The current password is wrong.");
  await rows(page, 1);
});

test("everything on the page can be done by the keyboard alone", { skip }, async (t) => {
  await server.addUser("keys");
  await signInElsewhere(server, "keys", IPHONE);
  const { open } = await profile(t, server);
  const page = await open("/sessions");
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  const { keyboard } = page;
  /** Tab until the focus is on what has this name. */
  const reach = async (name) => {
    for (let step = 0; step < 25; step += 1) {
      const here = await page.evaluate(() => {
        const at = document.activeElement;
        if (at === document.body) return "";
        return at?.getAttribute("aria-label") ?? (at?.labels?.[0] ?? at)?.textContent ?? "";
      });
      if (here.startsWith(name)) return;
      await keyboard.press("Tab");
    }
    assert.fail(`the keyboard does not reach ${name}`);
  };
  await keyboard.type("keys");
  await keyboard.press("Tab");
  await keyboard.type(server.password);
  await keyboard.press("Enter");
  await rows(page, 2);
  await reach("End the session on Safari 19");
  await keyboard.press("Enter");
  await page.getByRole("dialog").waitFor();
  await keyboard.press("Escape");
  await reach("End the session on Safari 19");
  await keyboard.press("Enter");
  await reach("End");
  await keyboard.press("Enter");
  await rows(page, 1);
  await reach("Current password");
  await keyboard.type(server.password);
  await reach("New password");
  await keyboard.type("sudden-lantern-orchard");
  await keyboard.press("Enter");
  await page.getByText("The password is changed.").waitFor();
  await reach("Skip to the content");
  await keyboard.press("Enter");
  await page.waitForFunction(() => document.activeElement?.id === "content");
  await reach("Skip to the content");
  await reach("Sign out");
  await keyboard.press("Enter");
  await page.getByText("You are signed out.").waitFor();
});

test("the page has no barriers in either language and theme, on a telephone neither", { skip }, async (t) => {
  const { page } = await visitor(t, "looks");
  await signInElsewhere(server, "looks", IPHONE);
  await signInElsewhere(server, "looks", FIREFOX);
  await signInElsewhere(server, "looks", "backup-script/2.1");
  await reloaded(page, 4);
  await inEveryLook(page, "sessions", () => rows(page, 4));
  await page.locator("header select").selectOption("en");
  await rows(page, 4);
  await page.setViewportSize({ width: 390, height: 844 });
  await inEveryLook(page, "sessions-narrow", () => rows(page, 4));
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(overflow <= 0, `the page itself does not scroll sideways (${overflow})`);
  await page.setViewportSize({ width: 1280, height: 800 });
  await page.locator("header select").selectOption("en");
  await rows(page, 4);
  await page.emulateMedia({ colorScheme: "light" });
  await end(page, "Safari 19").click();
  await page.getByRole("dialog").waitFor();
  assert.deepEqual(await barriers(page), []);
  await screenshot(page, "sessions-question");
  await answer(page, "Cancel");
  await change(page);
  await page.locator(".field-error:not(:empty)").first().waitFor();
  assert.deepEqual(await barriers(page), []);
  await screenshot(page, "sessions-password-missing");
});
