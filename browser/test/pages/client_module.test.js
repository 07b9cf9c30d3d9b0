/** /auth/client.js: a page without npm, of the server's own origin or of a listed one, has the client from the server. */

import assert from "node:assert/strict";
import http from "node:http";
import { test } from "node:test";

import { profile, skip, startSite } from "./support/stage.js";

const PAGE = "<!doctype html><html lang=en><link rel=icon href=data:,><title>A shop</title><h1>A shop</h1>";

/** A page of another origin, which is of the same site: another port. */
async function shop(t) {
  const server = http.createServer((_request, response) => {
    response.setHeader("Content-Type", "text/html");
    response.end(PAGE);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://localhost:${server.address().port}`;
}

/** Import the client in a page, sign in with it and ask who that is. */
const visit = (page, server) =>
  page.evaluate(async ({ url, password }) => {
    const { createSession } = await import(`${url}/auth/client.js`);
    const session = createSession({ baseURL: url });
    if (await session.restore()) return "somebody is signed in already";
    await session.login({ username: "bob", password });
    return (await (await session.fetch("/auth/me")).json()).preferred_username;
  }, { url: server.url, password: server.password });

test("a page of a listed origin imports the client from the server, and signs in by cookie", { skip }, async (t) => {
  const origin = await shop(t);
  const server = await startSite({ allowed_origins: origin });
  t.after(() => server.stop());
  const { context, open } = await profile(t, server);
  const page = await open(origin);
  assert.equal(await visit(page, server), "bob");
  await page.reload();
  assert.equal(await visit(page, server), "somebody is signed in already");
  assert.deepEqual((await context.cookies(server.url)).map(({ httpOnly }) => httpOnly), [true]);
});

test("a page of an origin that is not listed cannot import the client", { skip }, async (t) => {
  const origin = await shop(t);
  const server = await startSite();
  t.after(() => server.stop());
  const { open, faults } = await profile(t, server);
  const page = await open(origin);
  await assert.rejects(visit(page, server), /Failed to fetch dynamically imported module/);
  const told = faults.splice(0).join("\n");
  assert.match(told, /blocked by CORS policy/);
});

test("a module worker imports the client and asks in the name of whoever is signed in", { skip }, async (t) => {
  const server = await startSite({ pages: false });
  t.after(() => server.stop());
  const { context, open } = await profile(t, server);
  await context.route("**/shop", (route) => route.fulfill({ contentType: "text/html", body: PAGE }));
  await context.route("**/worker.js", (route) =>
    route.fulfill({
      contentType: "text/javascript",
      body: `import { createSession } from "/auth/client.js";
        const session = createSession({ baseURL: location.origin });
        const isSignedIn = await session.restore();
        const answer = await session.fetch("/auth/me");
        postMessage({ isSignedIn, name: (await answer.json()).preferred_username });`,
    }),
  );
  const page = await open("/shop");
  assert.equal(await visit(page, server), "bob");
  const told = await page.evaluate(
    () =>
      new Promise((resolve, reject) => {
        const worker = new Worker("/worker.js", { type: "module" });
        worker.onmessage = ({ data }) => resolve(data);
        worker.onerror = ({ message }) => reject(new Error(message));
      }),
  );
  assert.deepEqual(told, { isSignedIn: true, name: "bob" });
});
