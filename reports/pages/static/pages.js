/* What pages do beyond HTML: meanings at a touch, refreshing while messages are under way. */
"use strict";

/* --- meanings: on hover, focus and tap; Escape takes them away --- */
const near = (box, tip) => {
  const left = Math.min(box.left, innerWidth - tip.offsetWidth - 8);
  const below = box.bottom + 6;
  const fits = below + tip.offsetHeight < innerHeight;
  tip.style.left = `${Math.max(8, left)}px`;
  tip.style.top = `${fits ? below : box.top - tip.offsetHeight - 6}px`;
};
const meaningOf = (term) => document.getElementById(term.getAttribute("aria-describedby"));
const hideMeanings = () => document.querySelectorAll(".meaning:popover-open").forEach((tip) => tip.hidePopover());
const showMeaning = (event) => {
  const term = event.target.closest?.(".term");
  if (!term) return;
  const tip = meaningOf(term);
  if (tip.matches(":popover-open")) return;
  hideMeanings();
  tip.showPopover();
  near(term.getBoundingClientRect(), tip);
};
for (const kind of ["mouseover", "focusin", "click"]) document.addEventListener(kind, showMeaning);
for (const kind of ["mouseout", "focusout"]) {
  document.addEventListener(kind, (event) => event.target.closest?.(".term") && hideMeanings());
}
addEventListener("scroll", hideMeanings, { passive: true, capture: true });
document.addEventListener("keydown", (event) => event.key === "Escape" && hideMeanings());

/* --- one dropdown at a time; a click elsewhere closes it --- */
document.addEventListener("click", (event) => {
  document.querySelectorAll("details.dropdown[open]").forEach((one) => {
    if (!one.contains(event.target)) one.open = false;
  });
});
