// What the theme and myst-nb leave out for those who use the keyboard or a screen reader.

// A button says what is written on it, and the sidebar's headings say their level.
for (const summary of document.querySelectorAll("summary[aria-label]")) summary.removeAttribute("aria-label");
for (const caption of document.querySelectorAll(".caption[role=heading]")) caption.ariaLevel = "2";

// What scrolls sideways, long lines of code and wide tables, can be reached and scrolled with the keyboard.
const scrolls = () => {
  for (const box of document.querySelectorAll(".highlight pre, .table-wrapper")) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
};
scrolls();
addEventListener("resize", scrolls);
document.addEventListener("toggle", scrolls, true);  // what was folded has no width before
