/** Whose pages attack, and from where; the victim's own page is at one https origin. */

import { after } from "node:test";

import { Front } from "./front.js";
import { certificate } from "./stage.js";

export const VICTIM = { scheme: "https", host: "app.example.test" };

/** Another port of the machine, with TLS or without. @type {Map<string, Promise<Front>>} */
const others = new Map();
export const other = (scheme) => {
  if (!others.has(scheme)) others.set(scheme, new Front(scheme === "https" ? certificate() : null).listen());
  return others.get(scheme);
};
after(async () => {
  for (const front of others.values()) await (await front).close();
});

/** A page of the attacker in the victim's browser. */
export async function attackersPage(context, origin, isSandboxed = false) {
  const page = await context.newPage();
  await page.goto(`${origin}/blank`);
  if (!isSandboxed) return page;
  await page.evaluate(
    () =>
      new Promise((resolve) => {
        const frame = document.createElement("iframe");
        Object.assign(frame, { sandbox: "allow-scripts allow-forms", srcdoc: "<!doctype html><body></body>", onload: resolve });
        document.body.append(frame);
      }),
  );
  return page.frames()[1];
}
