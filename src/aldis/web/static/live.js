// Keeps the updates of a page from disturbing its reader. htmx makes the requests.
"use strict";

(() => {
  const main = () => document.getElementById("main");
  const isBusy = () => {
    if (document.hidden) return true;
    if (main().querySelector("details.confirm[open]")) return true;
    const focused = document.activeElement;
    if (main().contains(focused) && focused.closest("form")) return true;
    const chosen = window.getSelection();
    return Boolean(chosen && !chosen.isCollapsed && main().contains(chosen.anchorNode));
  };
  const showOffline = (isOffline) => {
    const notice = document.getElementById("offline");
    if (notice) notice.hidden = !isOffline;
  };
  let focusedId = "";

  document.addEventListener("htmx:beforeRequest", (event) => {
    if (isBusy()) event.preventDefault();
  });
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (isBusy()) event.detail.shouldSwap = false;
    const focused = document.activeElement;
    focusedId = main().contains(focused) ? focused.id : "";
  });
  document.addEventListener("htmx:afterSwap", () => {
    showOffline(false);
    const before = focusedId && document.getElementById(focusedId);
    if (before && document.activeElement !== before) before.focus({ preventScroll: true });
  });
  document.addEventListener("htmx:sendError", () => showOffline(true));
  document.addEventListener("htmx:responseError", () => showOffline(true));

  // The form of a filter leaves out the fields that are empty, so that its URL is short.
  document.addEventListener("submit", (event) => {
    if (event.target.method !== "get") return;
    for (const field of event.target.elements) {
      if (field.name && !field.value) field.disabled = true;
    }
  });
  window.addEventListener("pageshow", () => {
    for (const field of document.querySelectorAll("form.filters :disabled")) field.disabled = false;
  });
})();
