/** What is sent again, what is not, and where a token goes. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";

import { elsewhere } from "./support/front.js";
import { ask, skip, stage, statuses } from "./support/stage.js";

const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");

/** Made in the page, for none of them can be sent there. */
const make = (kind) => {
  const bytes = Uint8Array.from({ length: 512 * 1024 }, (_, index) => (index * 31) % 251);
  const form = new FormData();
  form.append("note", "größer ✓");
  form.append("file", new Blob([bytes], { type: "image/png" }), "photo.png");
  const query = new URLSearchParams({ a: "1 & 2", b: "✓" });
  const blob = new Blob([bytes]);
  return { string: "größer ✓", URLSearchParams: query, Blob: blob, ArrayBuffer: bytes.buffer, FormData: form }[kind];
};

for (const kind of ["string", "URLSearchParams", "Blob", "ArrayBuffer", "FormData"]) {
  test(`a body of kind ${kind} is sent again byte for byte`, { skip }, async (t) => {
    const { server, front, signedIn } = await stage(t);
    const [tab] = await signedIn();
    await server.expire();
    const answer = await tab.evaluate(`window.ask("/upload", { method: "POST", body: (${make})("${kind}") })`);
    assert.equal(answer.status, 200);
    const [first, second, ...more] = front.of("/upload").map(({ body }) => body);
    assert.equal(more.length, 0);
    assert.equal(answer.sha256, sha256(second));
    if (kind === "FormData") {
      // A boundary is drawn anew for each sending; nothing else may differ.
      assert.equal(unbounded(first), unbounded(second));
      assert.ok(first.length > 512 * 1024);
    } else assert.ok(first.equals(second) && first.length > 0);
  });
}

const unbounded = (body) => {
  const text = body.toString("latin1");
  return text.replaceAll(text.slice(0, text.indexOf("\r\n")), "--");
};

test("a body that is a stream is refused with not_replayable, and sent neither twice nor empty", { skip }, async (t) => {
  const { server, front, signedIn } = await stage(t, { isHttp2: true });
  const [tab] = await signedIn();
  const upload = () =>
    tab.evaluate(() => {
      const body = new Blob(["one of a kind"]).stream();
      return window.ask("/stream", { method: "POST", body, duplex: "half" });
    });
  await server.expire();
  const refused = await upload();
  assert.deepEqual([refused.code, refused.response], ["not_replayable", 401]);
  assert.equal(front.of("/stream").length, 1);
  // The token has been renewed meanwhile, so that the application's own second try succeeds.
  assert.equal((await upload()).sha256, sha256("one of a kind"));
  assert.equal(await server.refreshes(), 1);
  assert.ok(front.of("/stream").every(({ body }) => body.toString() === "one of a kind"));
});

test("a Request is sent again with its body, and is still the application's own", { skip }, async (t) => {
  const { server, front, base, signedIn } = await stage(t);
  const [tab] = await signedIn();
  await server.expire();
  const answer = await tab.evaluate(async (url) => {
    const request = new Request(url, { method: "POST", body: "one of a kind" });
    return { ...(await window.ask(request)), isUsed: request.bodyUsed };
  }, `${base}/body`);
  assert.deepEqual([answer.sha256, answer.isUsed], [sha256("one of a kind"), false]);
  assert.deepEqual(front.of("/body").map(({ body }) => body.toString()), ["one of a kind", "one of a kind"]);
  await server.expire();
  assert.equal((await tab.evaluate((url) => window.ask(new Request(url)), `${base}/none`)).status, 200);
});

test("a request to another origin carries no token, nor does one that is redirected there", { skip }, async (t) => {
  const { front, signedIn } = await stage(t);
  const [tab] = await signedIn();
  const other = await elsewhere(t);
  front.away = other.url;
  assert.deepEqual(statuses([await ask(tab, other.url), await ask(tab, "/away")]), [200, 200]);
  assert.deepEqual(other.seen.map((headers) => headers.authorization), [undefined, undefined]);
});

test("a 401 from another origin that a redirect led to renews nothing", { skip }, async (t) => {
  const { server, front, signedIn } = await stage(t);
  const [tab] = await signedIn();
  const other = await elsewhere(t, 401);
  front.away = other.url;
  assert.equal((await ask(tab, "/away")).status, 401);
  assert.equal(await server.refreshes(), 0);
});

test("auth: false sends no token", { skip }, async (t) => {
  const { front, signedIn } = await stage(t);
  const [tab] = await signedIn();
  assert.equal((await ask(tab, "/open", { auth: false })).status, 401);
  assert.equal(front.of("/open")[0].authorization, undefined);
});
