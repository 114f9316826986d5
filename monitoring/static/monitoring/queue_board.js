// Renews the figures every few seconds without loading the page anew: what has the focus keeps it,
// what is open stays open. Without this script the Refresh link does the same.
"use strict";
(() => {
  const board = document.getElementById("board");
  const button = document.getElementById("board-refreshing");
  const trouble = document.getElementById("board-trouble");
  const wait = Number(board.dataset.seconds) * 1000;
  let refreshing = true;

  const selects = () => {
    const selection = document.getSelection();
    return selection && !selection.isCollapsed && board.contains(selection.anchorNode);
  };

  const renew = (html) => {
    const fresh = new DOMParser().parseFromString(html, "text/html").querySelector(".board-figures");
    if (!fresh) throw new Error("not the board");
    for (const open of board.querySelectorAll("details[open][id]")) {
      fresh.querySelector(`#${CSS.escape(open.id)}`)?.setAttribute("open", "");
    }
    const focused = board.contains(document.activeElement) ? document.activeElement.id : "";
    board.replaceChildren(document.adoptNode(fresh));
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  };

  const look = async () => {
    try {
      const answer = await fetch(board.dataset.now, { redirect: "error", signal: AbortSignal.timeout(wait) });
      if (!answer.ok) throw new Error(answer.statusText);
      const html = await answer.text();
      if (refreshing && !selects()) renew(html);
      trouble.hidden = true;
    } catch {
      trouble.hidden = false;
    }
  };

  const turn = async () => {
    if (refreshing && !document.hidden) await look();
    setTimeout(turn, wait);
  };

  button.hidden = false;
  button.addEventListener("click", () => {
    refreshing = !refreshing;
    button.setAttribute("aria-pressed", String(refreshing));
    if (refreshing) look();
  });
  setTimeout(turn, wait);
})();
