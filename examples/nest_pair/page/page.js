/** The page, whichever of the two modules carries its requests. */

const isNew = location.search === "?evertoken";
const { request, signIn, signOut } = await import(isNew ? "./with_evertoken.js" : "./as_it_is.js");
const log = document.querySelector("ol");

const say = (text) => {
  const line = document.createElement("li");
  line.textContent = text;
  log.prepend(line);
};

/** The refreshes that this page has made, as the browser counted them. */
const refreshes = () =>
  performance.getEntriesByType("resource").filter(({ name }) => new URL(name).pathname === "/user/refresh").length;

async function call(path) {
  try {
    const { status, data } = await request.get(path);
    say(`${path}: ${status} ${typeof data === "string" ? data : JSON.stringify(data)}`);
  } catch (error) {
    say(`${path}: ${error.message}`);
  }
  document.querySelector("output").textContent = `refreshes: ${refreshes()}`;
}

const DOES = {
  aaa: () => call("/aaa"),
  bbb: () => call("/bbb"),
  three: () => Promise.all(["/bbb?1", "/bbb?2", "/bbb?3"].map(call)),
  out: () => signOut().then(() => say("signed out")),
};

document.querySelector("h1").textContent = isNew ? "With evertoken's client" : "With the page's own interceptors";
document.querySelector("form").addEventListener("submit", (event) => {
  event.preventDefault();
  const { username, password } = Object.fromEntries(new FormData(event.target));
  signIn(username, password).then(
    () => say("signed in"),
    (error) => say(`not signed in: ${error.message}`),
  );
});
for (const button of document.querySelectorAll("button[name]")) {
  button.addEventListener("click", () => DOES[button.name]().catch((error) => say(error.message)));
}
document.documentElement.dataset.ready = "";
