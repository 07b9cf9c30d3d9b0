/** The demo, as a visitor uses it: a real `evertoken demo`, real tabs, and every button. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { startDemo } from "./demo/server.js";
import { inEveryLook, profile, screenshot, skip } from "./support/stage.js";

/** A token lives for a minute, so that no refresh runs unless a button causes it; it is ripe after two seconds. */
const FLAGS = ["--access", "60", "--overlap", "0.5"];

let server;
before(async () => {
  server = skip ? null : await startDemo(...FLAGS);
});
after(() => server?.stop());

const action = (page, name) => page.locator(`[data-action=${name}]`);
const counter = async (page, name) => Number(await page.locator(`.counter.${name} dd`).textContent());
const counted = (page, name, least) =>
  page.waitForFunction(
    ([which, number]) => Number(document.querySelector(`.counter.${which} dd`)?.textContent) >= number,
    [name, least],
  );
const story = (page, words) => page.locator(".story li", { hasText: words }).first();
const signInButton = (page) => page.getByRole("button", { name: "Sign in", exact: true });
const signOutButton = (page) => page.getByRole("button", { name: "Sign out" });
const freshTiles = (page) => page.waitForFunction(() => document.querySelectorAll(".tile:not(.old) .figure > *, .tile .visitors > *").length >= 6);

/** The refreshes that a browser has sent, whatever the page says of them. */
function refreshesOf(context) {
  const seen = [];
  context.on("request", (request) => {
    if (new URL(request.url()).pathname === "/auth/refresh") seen.push(request);
  });
  return seen;
}

/** The demo, opened at its address, and signed in with one click. */
async function visit(t, options) {
  const { context, faults, open } = await profile(t, server, options);
  const page = await open("/");
  await signInButton(page).click();
  await signOutButton(page).waitFor();
  await freshTiles(page);
  return { context, faults, page, refreshes: refreshesOf(context) };
}

/** Another tab, opened by the page's own button. */
async function anotherTab({ context, page }) {
  const opened = context.waitForEvent("page");
  await action(page, "tab").click();
  const tab = await opened;
  await signOutButton(tab).waitFor();
  await freshTiles(tab);
  return tab;
}

test("the address of the demo leads to its page, where one click signs in and six tiles come to life", { skip }, async (t) => {
  const { page } = await visit(t);
  assert.match(page.url(), /\/demo$/);
  assert.equal(await page.locator(".tile").count(), 6);
  assert.equal(await page.locator(".tile.old").count(), 0);
  assert.match(server.printed(), new RegExp(`^\\s*Open ${server.url}/demo in a browser`));
  await page.reload();
  await signOutButton(page).waitFor();
  await freshTiles(page);
});

test("fifty requests at once with an expired token cause one refresh and no failed request", { skip }, async (t) => {
  const { page, refreshes } = await visit(t);
  await action(page, "burst").click();
  await story(page, /5\d requests were refused\. Tab 1 made one refresh/).waitFor();
  assert.equal(refreshes.length, 1);
  assert.equal(await counter(page, "refreshes"), 1);
  assert.ok((await counter(page, "refused")) >= 50);
  assert.equal(await counter(page, "again"), await counter(page, "refused"));
  assert.equal(await counter(page, "failed"), 0);
  await story(page, "sent 50 requests at once: 50 were answered.").waitFor();
  assert.match(await page.locator(".stage [role=status]").first().textContent(), /requests/, "it is announced");
  await inEveryLook(page, "demo", () => freshTiles(page));
});

test("fifty requests with a good token wait for nothing", { skip }, async (t) => {
  const { page, refreshes } = await visit(t);
  await action(page, "fire").click();
  await story(page, "sent 50 requests at once: 50 were answered.").waitFor();
  assert.equal(await counter(page, "refused"), 0);
  assert.equal(refreshes.length, 0);
});

test("an expired token is renewed at the next request of a tile, which nobody notices", { skip }, async (t) => {
  const { page, refreshes } = await visit(t);
  await action(page, "expire").click();
  await story(page, "Tab 1 made one refresh").waitFor();
  assert.equal(refreshes.length, 1);
  assert.equal(await counter(page, "failed"), 0);
  assert.equal(await page.locator(".tile.old").count(), 0);
});

test("two tabs show each other's lanes and share one refresh", { skip }, async (t) => {
  const visitor = await visit(t);
  const { context, page, refreshes } = visitor;
  const tab = await anotherTab(visitor);
  for (const [each, mine, other] of [[page, 1, 2], [tab, 2, 1]]) {
    await each.locator("svg.timeline .name", { hasText: `Tab ${mine} · this one` }).waitFor();
    await each.locator("svg.timeline .name", { hasText: new RegExp(`^Tab ${other}$`) }).waitFor();
  }
  let release;
  const gate = new Promise((resolve) => (release = resolve));
  await context.route("**/auth/refresh", async (route) => {
    await gate;
    await route.continue();
  });
  await action(page, "burst").click();
  await counted(page, "refused", 50);
  await tab.bringToFront();
  const begun = await counter(tab, "requests");
  await action(tab, "fire").click();
  await counted(tab, "requests", begun + 50);
  await counted(tab, "refused", 51);
  release();
  for (const each of [page, tab]) {
    await each.bringToFront();
    await story(each, /requests were refused\. Tab [12] made one refresh .* 0 failed/).waitFor();
    const told = await story(each, "made one refresh").textContent();
    const [refused, waited, again] = /(\d+) requests were refused.* (\d+) waited for it, (\d+) sent again/.exec(told).slice(1);
    assert.ok(Number(waited) > 50, "requests of both tabs waited for it");
    assert.equal(again, refused);
    assert.equal(await counter(each, "failed"), 0);
  }
  await story(tab, "sent 50 requests at once: 50 were answered.").waitFor();
  assert.equal(refreshes.length, 1);
  await screenshot(tab, "demo-two-tabs");
  await tab.close();
  await story(page, "Tab 2 was closed.").waitFor();
});

test("a tab that is loaded again keeps its lane, and what it had begun holds nothing up", { skip }, async (t) => {
  const visitor = await visit(t);
  const tab = await anotherTab(visitor);
  await tab.reload();
  await signOutButton(tab).waitFor();
  await tab.locator("svg.timeline .name", { hasText: "Tab 2 · this one" }).waitFor();
  await visitor.page.bringToFront();
  await action(visitor.page, "burst").click();
  await story(visitor.page, /5\d requests were refused/).waitFor();
  assert.equal(await visitor.page.locator("svg.timeline .name").count(), 2);
});

test("a refresh whose answer is lost is asked for again, and the visitor stays signed in", { skip }, async (t) => {
  const { context, page, refreshes } = await visit(t);
  const [before] = await context.cookies();
  await action(page, "lose").click();
  await story(page, /The answer to a refresh was lost\. Tab 1 asked again \(2 calls\): still signed in/).waitFor();
  assert.equal(refreshes.length, 2);
  const first = await (await refreshes[0].response()).allHeaders();
  assert.equal(first["set-cookie"], undefined, "the first answer never reached the browser");
  assert.notEqual((await context.cookies())[0].value, before.value);
  assert.equal(await counter(page, "failed"), 0);
  assert.ok(await signOutButton(page).isVisible());
});

test("offline the tiles stand still in all tabs, and online again they go on without a sign-in", { skip }, async (t) => {
  const visitor = await visit(t);
  const { page } = visitor;
  const tab = await anotherTab(visitor);
  await tab.bringToFront();
  await action(tab, "offline").click();
  for (const each of [tab, page]) {
    await each.bringToFront();
    await each.waitForFunction(() => document.querySelectorAll(".tile.old").length === 6);
    assert.equal(await each.locator(".tile .state").first().textContent(), "No connection");
  }
  assert.ok(await signOutButton(page).isVisible());
  await screenshot(page, "demo-offline");
  await page.getByRole("button", { name: "Go online again" }).click();
  for (const each of [page, tab]) {
    await each.bringToFront();
    await each.waitForFunction(() => document.querySelectorAll(".tile.old").length === 0);
    await story(each, "All tabs are online again.").waitFor();
    assert.equal(await counter(each, "failed"), 0);
  }
});

test("a thief with an old copy of the refresh token is shut out, and the page says who and why", { skip }, async (t) => {
  const { page } = await visit(t);
  await action(page, "thief").click();
  await page.getByText(/About \d+\ss until the copy is worth nothing/).waitFor();
  await screenshot(page, "demo-thief-begins");
  await page.getByText(/^Refused \(replayed\).*The thief has nothing left\. You sign in again/).waitFor();
  await page.getByText("You were signed out because two parties used this session").first().waitFor();
  await signInButton(page).waitFor();
  await inEveryLook(page, "demo-thief", () => page.locator(".verdict").waitFor());
  await page.locator("header select").selectOption("en");
  await signInButton(page).click();
  await freshTiles(page);
  await page.getByRole("button", { name: "Close" }).click();
  assert.equal(await page.locator(".thief").count(), 0);
});

test("a thief who uses the copy at once is let in, and out again as soon as both have renewed", { skip }, async (t) => {
  const { faults, page } = await visit(t);
  await action(page, "thief").click();
  await action(page, "hasty").click();
  await story(page, "The thief presented the copy and was given an access token.").waitFor();
  await page.getByText(/^Over \(replayed\).*ended for both/).waitFor();
  await signInButton(page).waitFor();
  // An owner who comes a moment after the thief is told to wait, which Chromium notes down.
  faults.splice(0, faults.length, ...faults.filter((fault) => !/status of 503/.test(fault)));
});

test("a session that is ended from elsewhere is over in every tab, with the reason in words", { skip }, async (t) => {
  const visitor = await visit(t);
  const tab = await anotherTab(visitor);
  await visitor.page.bringToFront();
  await action(visitor.page, "elsewhere").click();
  for (const each of [visitor.page, tab]) {
    await each.bringToFront();
    await each.getByText("You were signed out because this session was ended from elsewhere.").first().waitFor();
    await signInButton(each).waitFor();
    assert.equal(await counter(each, "failed"), 0);
  }
  await screenshot(visitor.page, "demo-ended-elsewhere");
});

test("the demo works by keyboard alone, and each button is described by what it will do", { skip }, async (t) => {
  const { open } = await profile(t, server);
  const page = await open("/demo");
  await signInButton(page).waitFor();
  await page.keyboard.press("Enter");
  await freshTiles(page);
  const buttons = page.locator(".actions button");
  assert.equal(await buttons.count(), 8);
  for (const button of await buttons.all()) {
    const described = await button.evaluate((each) => document.getElementById(each.getAttribute("aria-describedby"))?.textContent);
    assert.ok(described && described.length > 10);
  }
  await action(page, "burst").focus();
  await page.keyboard.press("Enter");
  await story(page, "sent 50 requests at once: 50 were answered.").waitFor();
});

test("the demo fits a telephone", { skip }, async (t) => {
  const { page } = await visit(t, { viewport: { width: 390, height: 800 } });
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.equal(wide, 0);
  await screenshot(page, "demo-telephone");
});
