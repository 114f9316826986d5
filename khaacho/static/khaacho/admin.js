// Three small things that the pages can do without: cells of lists carry their column's name, which a phone
// shows; boxes that scroll can be scrolled by the keyboard; the side bar shows where one is.
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

  const side = document.getElementById("side");
  const here = side?.querySelector("[aria-current]");
  if (here && side.scrollHeight > side.clientHeight) {
    side.scrollTop = here.offsetTop - side.clientHeight / 2;
  }
})();
