"use strict";
// Keeps states up to date while something is under way. Without scripts the page is loaded again by hand.

(function refreshStates() {
  const MOST_REFRESHES = 180;
  let left = MOST_REFRESHES;

  function note() {
    const found = document.querySelector("#states [data-refresh]");
    if (found) found.hidden = false;
    return found;
  }

  // What somebody reads with the keyboard or has selected is not taken away.
  function isInUse(region) {
    const selection = document.getSelection();
    const selected = selection && !selection.isCollapsed && region.contains(selection.anchorNode);
    return selected || region.contains(document.activeElement);
  }

  async function refresh() {
    const region = document.getElementById("states");
    if (!document.hidden && !isInUse(region)) {
      const answer = await fetch(location.href, { credentials: "same-origin", redirect: "error" });
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("states");
      if (!fresh) throw new Error("no states in the answer");
      region.replaceChildren(...fresh.childNodes);
      left -= 1;
    }
    schedule();
  }

  function schedule() {
    const found = note();
    if (!found || left <= 0) return;
    setTimeout(() => refresh().catch(() => {
      const shown = note();
      if (shown) shown.textContent = "No longer updated: load the page again.";
    }), Number(found.dataset.refresh) * 1000);
  }

  schedule();
})();
