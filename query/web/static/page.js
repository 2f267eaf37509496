"use strict";
// What scripts add to a page that works without them.

// Only the browser knows its zone; the server reads it from this cookie at the next request.
(function tellZone() {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "";
  const option = document.querySelector("[data-browser-zone]");
  if (!/^[A-Za-z0-9_+\-\/]+$/.test(zone)) return;
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = `auditstream_browser_zone=${zone}; Path=/; Max-Age=31536000; SameSite=Strict${secure}`;
  if (option) {
    option.disabled = false;
    option.textContent = `Browser: ${zone}`;
  }
})();

// A choice that is made is sent at once; its button stays for those without scripts.
for (const select of document.querySelectorAll("select[data-submit]")) {
  const button = select.form.querySelector("button[type=submit]");
  if (button) button.hidden = true;
  select.addEventListener("change", () => select.form.requestSubmit());
}

// "/" goes to the filter.
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, select, textarea, [contenteditable]")) return;
  const filter = document.querySelector("[data-filter]");
  if (!filter) return;
  event.preventDefault();
  filter.focus();
});
