/* Tooltips of meanings, message texts on demand, live figures, sign-in by link. */
"use strict";

const all = (query) => document.querySelectorAll(query);

/* --- meanings: on hover, focus and tap; Escape hides them --- */
const place = (tip, box) => {
  const left = Math.min(box.left, innerWidth - tip.offsetWidth - 8);
  const below = box.bottom + 6;
  const fits = below + tip.offsetHeight < innerHeight;
  tip.style.left = `${Math.max(8, left)}px`;
  tip.style.top = `${fits ? below : box.top - tip.offsetHeight - 6}px`;
};
const hideTips = () => all(".meaning:popover-open").forEach((tip) => tip.hidePopover());
const showTip = (tip, box) => {
  if (tip.matches(":popover-open")) return;
  hideTips();
  tip.showPopover();
  place(tip, box);
};
const showMeaning = (event) => {
  const term = event.target.closest?.(".term");
  if (term) showTip(document.getElementById(term.getAttribute("aria-describedby")), term.getBoundingClientRect());
};
for (const kind of ["mouseover", "focusin", "click"]) document.addEventListener(kind, showMeaning);
for (const kind of ["mouseout", "focusout"]) {
  document.addEventListener(kind, (event) => event.target.closest?.(".term, svg [aria-label]") && hideTips());
}
addEventListener("scroll", hideTips, { passive: true, capture: true });
document.addEventListener("keydown", (event) => event.key === "Escape" && hideTips());

/* --- tooltips of bars, points and countries in charts --- */
document.addEventListener("mouseover", (event) => {
  const mark = event.target.closest?.("svg [role=graphics-symbol][aria-label]");
  const tip = document.getElementById("mark-tip");
  if (!mark || !tip) return;
  hideTips();
  tip.textContent = mark.getAttribute("aria-label");
  showTip(tip, mark.getBoundingClientRect());
});

/* --- one dropdown at a time; a click elsewhere or Escape closes it --- */
const closeDropdowns = (except) =>
  all("details.dropdown[open]").forEach((one) => one.contains(except) || (one.open = false));
document.addEventListener("click", (event) => closeDropdowns(event.target));
document.addEventListener("keydown", (event) => {
  const open = event.key === "Escape" && event.target.closest?.("details.dropdown[open]");
  if (!open) return;
  open.open = false;
  open.querySelector("summary").focus();
});

/* --- texts of messages: loaded when one is opened --- */
const page = async (address) => {
  const response = await fetch(address, { headers: { Accept: "text/html" } });
  if (response.redirected) location.reload(); // The session has ended.
  if (!response.ok) throw new Error(`status ${response.status}`);
  return new DOMParser().parseFromString(await response.text(), "text/html");
};
document.addEventListener(
  "toggle",
  async (event) => {
    const box = event.target;
    if (!box.matches?.("details.content[open]:not([data-read])")) return;
    box.dataset.read = "";
    const text = box.querySelector("p");
    text.textContent = "…";
    try {
      text.replaceChildren(...(await page(box.dataset.from)).getElementById("text").childNodes);
    } catch {
      text.textContent = "The text could not be loaded. Close and open it to try again.";
      delete box.dataset.read;
    }
  },
  true,
);

/* --- live figures: the page is loaded again, and only what changed is replaced --- */
const every = () => Number(document.getElementById("refresh")?.dataset.every || 0) * 1000;
const paused = () => sessionStorage.getItem("paused") === "yes";
const typing = () => document.activeElement?.closest(".filters") || document.querySelector(".dropdown[open]");
const keep = {
  beforeNodeMorphed: (old) => !(old.matches?.("form.filters, details.content[data-read]")),
  beforeAttributeUpdated: (name, node) => !(name === "open" && node.matches("details")) && name !== "style",
};
const showPause = () => {
  const button = document.getElementById("pause");
  if (!button) return;
  button.hidden = false;
  button.setAttribute("aria-pressed", String(paused()));
  button.textContent = paused() ? "Resume" : "Pause";
};
const refresh = async () => {
  try {
    const fresh = (await page(location.href)).getElementById("content");
    Idiomorph.morph(document.getElementById("content"), fresh, { callbacks: keep });
    showPause();
  } catch {
    const updated = document.getElementById("updated");
    if (updated) updated.textContent = "No response, trying again";
  }
};
const tick = async () => {
  if (every() && !paused() && !document.hidden && !typing()) await refresh();
  wait();
};
let waiting;
const wait = () => {
  clearTimeout(waiting);
  if (every() && !document.hidden) waiting = setTimeout(tick, every());
};
document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(waiting) : tick()));
document.addEventListener("click", (event) => {
  if (event.target.id !== "pause") return;
  sessionStorage.setItem("paused", paused() ? "no" : "yes");
  showPause();
  if (!paused()) tick();
});

/* --- a link may carry a token behind its #, which never reaches servers or logs --- */
const signIn = () => {
  const form = document.getElementById("sign-in");
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!form || !token) return;
  history.replaceState(null, "", location.pathname + location.search);
  form.elements.token.value = token;
  form.requestSubmit();
};
addEventListener("hashchange", signIn);
signIn();

showPause();
wait();
