// @ts-check
/** Where tokens go, and where they do not. */

import assert from "node:assert/strict";

import { ALL, FOREIGN, SIBLING, statuses, story, times } from "./support/stage.js";

story("other origins get no token, and their 401 renews nothing", ALL, {}, async ({ api, tab, caller, origin }) => {
  const foreign = origin.replace("127.0.0.1", FOREIGN);
  const urls = [`${foreign}/x`, `${foreign}/auth/x`, `//${FOREIGN}:${api.port}/x`];
  // To axios this one is a path.
  if (caller === "fetch") urls.push(`http:\\\\${FOREIGN}:${api.port}/x`);
  for (const url of urls) assert.equal((await tab.call(url)).status, 401, url);
  assert.deepEqual(api.seen.map(({ host, token }) => [host, token]), times(urls.length, [FOREIGN, null]));
  assert.equal(api.refreshes, 0);
});

story("an origin that the application has named gets the token, and shares the refresh", ALL, { user: null },
  async ({ api, tab, origin }) => {
    const sibling = origin.replace("127.0.0.1", SIBLING);
    await tab.begin({ origins: [sibling] });
    api.expire();
    assert.deepEqual(statuses(await Promise.all([tab.call(`${sibling}/x`), tab.call("/x")])), [200, 200]);
    assert.equal(api.refreshes, 1);
  });

story("a redirect to another origin takes no Authorization along, and its 401 renews nothing", ALL, {},
  async ({ api, tab, origin }) => {
    const away = { status: 307, headers: { Location: `${origin.replace("127.0.0.1", FOREIGN)}/there` } };
    api.routes.set("/away", () => away);
    assert.equal((await tab.call("/away")).status, 401);
    assert.deepEqual(api.seen.map(({ host, path, token }) => [host, path, token !== null]), [
      ["127.0.0.1", "/away", true],
      [FOREIGN, "/there", false],
    ]);
    assert.equal(api.refreshes, 0);
  });

story("a redirect at home keeps the token, also a custom one", ALL, { user: null }, async ({ api, tab }) => {
  for (const header of ["Authorization", "token"]) {
    api.header = header.toLowerCase();
    await tab.begin({ dialect: { access_token: { header, scheme: "Bearer" } } });
    api.routes.set("/moved", () => ({ status: 307, headers: { Location: "/here" } }));
    assert.equal((await tab.call("/moved")).status, 200);
  }
});

story("neither token stands in a URL, and the refresh token in the body of its own call only", ALL, {},
  async ({ api, tab }) => {
    api.expire();
    assert.equal((await tab.call("/x?a=b", { method: "POST", body: { json: { a: 1 } } })).status, 200);
    await tab.run((faults) => faults.session.logout());
    const secrets = [...api.secrets];
    const refreshTokens = secrets.filter((secret) => secret.startsWith("refresh-"));
    const holding = [...api.seen, ...api.calls].filter(({ url, headers, body }) =>
      refreshTokens.some((token) => `${url}${JSON.stringify(headers)}${body}`.includes(token)));
    assert.deepEqual(holding.map(({ url }) => url), ["/auth/refresh", "/auth/logout"]);
    for (const { url } of [...api.seen, ...api.calls]) assert.ok(!secrets.some((secret) => url.includes(secret)), url);
  });

const title = "a token in a header of its own is taken along by a redirect to another origin that allows it";
story(title, ALL, { user: null, leaks: true }, async ({ api, tab, origin }) => {
  // No page sees a redirect before it is followed, and browsers only take Authorization away. What stays in our hands:
  // the answer of that origin renews nothing and ends nothing.
  api.header = "token";
  await tab.begin({ dialect: { access_token: { header: "token", scheme: "Bearer" } } });
  const away = { status: 307, headers: { Location: `${origin.replace("127.0.0.1", FOREIGN)}/there` } };
  api.routes.set("/away", () => away);
  api.routes.set("/there", () => ({ status: 401, body: {} }));
  assert.equal((await tab.call("/away")).status, 401);
  assert.deepEqual(api.seen.map(({ host, token }) => [host, token !== null]), [["127.0.0.1", true], [FOREIGN, true]]);
  assert.equal(api.refreshes, 0);
  assert.deepEqual(await tab.events(), []);
});
