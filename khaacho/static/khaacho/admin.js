// Small things that the pages can do without: cells of lists carry their column's name, which a phone shows;
// boxes that scroll can be scrolled by the keyboard; the side bar shows where one is; and parts of Django's
// own widgets that have no name get their field's.
"use strict";
(() => {
  for (const table of document.querySelectorAll("#result_list")) {
    const names = [...table.querySelectorAll("thead th")].map((cell) =>
      cell.querySelector(".text")?.textContent.trim() ?? "");
    for (const row of table.tBodies[0]?.rows ?? []) {
      const first = [...row.cells].findIndex((cell) => !cell.classList.contains("action-checkbox"));
      [...row.cells].forEach((cell, place) => {
        if (place > first && names[place]) cell.dataset.name = names[place];
      });
    }
    table.classList.add("named");
  }

  const reachable = () => {
    for (const box of document.querySelectorAll(".scroll, .results, pre.statement, .readonly pre, #side")) {
      const scrolls = box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight;
      if (scrolls) box.tabIndex = 0;
      else box.removeAttribute("tabindex");
    }
  };
  reachable();
  addEventListener("resize", reachable);

  // Widgets build themselves when the page is ready: this is after them.
  addEventListener("load", () => {
    for (const select of document.querySelectorAll("select.select2-hidden-accessible")) {
      const name = select.labels[0]?.textContent.replace(/:\s*$/, "").trim();
      for (const part of select.nextElementSibling?.querySelectorAll("[role=combobox], [role=textbox]") ?? []) {
        if (name) part.setAttribute("aria-label", name);
      }
    }
    for (const field of document.querySelectorAll(".datetime input")) {
      const row = field.closest(".form-row, .fieldBox")?.querySelector("legend, label, .fieldset-label");
      const part = field.previousSibling?.textContent ?? "";
      if (row && !field.labels.length) field.setAttribute("aria-label", `${row.textContent} ${part}`.replace(/\s*:\s*/g, " ").trim());
    }
    for (const icon of document.querySelectorAll(".help-tooltip[aria-label]")) icon.setAttribute("role", "img");
    for (const cell of document.querySelectorAll("th:empty")) cell.setAttribute("role", "cell");
  });

  const side = document.getElementById("side");
  const here = side?.querySelector("[aria-current]");
  if (here && side.scrollHeight > side.clientHeight) {
    side.scrollTop = here.offsetTop - side.clientHeight / 2;
  }
})();
