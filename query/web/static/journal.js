"use strict";
// Suggestions for the filter form; without scripts it takes the same values typed.
(function filterForm() {
  const form = document.querySelector("form[data-journal]");
  if (!form) return;
  const attribute = form.querySelector("#attribute");
  const value = form.querySelector("#value");
  const values = form.querySelector("#values");
  const hint = form.querySelector("#value-hint");
  let latest = 0;

  async function suggestions(name, changes) {
    const query = new URLSearchParams(location.search);
    for (const [key, changed] of Object.entries(changes)) {
      query.delete(key);
      if (changed) query.append(key, changed);
    }
    query.delete("cursor");
    query.set("attribute", name);
    query.set("at", form.dataset.journal);
    const answer = await fetch(`/suggest?${query}`, { headers: { Accept: "application/json" } });
    return answer.ok ? answer.json() : { doc: "", expected: "", values: [] };
  }

  function optionOf(choice, withLabel) {
    const option = document.createElement("option");
    option.value = choice.value;
    const events = choice.events === null ? "" : ` (${choice.events})`;
    option.textContent = withLabel ? `${choice.label}${events}` : `${choice.value}${events}`;
    return option;
  }

  attribute.addEventListener("change", async () => {
    const asked = ++latest;
    values.replaceChildren();
    hint.textContent = "";
    if (!attribute.value) return;
    const found = await suggestions(attribute.value, {});
    // A slower answer to an earlier choice must not replace that of a later one.
    if (asked !== latest) return;
    values.replaceChildren(...found.values.map((choice) => optionOf(choice, true)));
    hint.textContent = `${found.doc} Takes ${found.expected}.`;
    value.focus();
  });

  // The types of a range depend on the range.
  const range = form.querySelector("select[data-quick=product]");
  const type = form.querySelector("select[data-quick=action]");
  if (range && type) {
    range.addEventListener("change", async () => {
      const found = await suggestions("action", { product: range.value });
      const all = type.querySelector("option");
      type.replaceChildren(all, ...found.values.map((choice) => optionOf(choice, false)));
      type.value = "";
    });
  }

  // Whoever changes a date means it.
  for (const date of form.querySelectorAll("[data-date]")) {
    date.addEventListener("input", () => {
      form.querySelector("#period").value = "custom";
    });
  }

  // Enter in the value adds it, as the button beside it does.
  value.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !value.value) return;
    event.preventDefault();
    form.requestSubmit(form.querySelector(".add"));
  });
})();

// j and k go from row to row.
document.addEventListener("keydown", (event) => {
  if (!["j", "k"].includes(event.key) || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, select, textarea")) return;
  const rows = [...document.querySelectorAll("[data-row]")];
  const at = rows.findIndex((row) => row.contains(document.activeElement));
  const next = rows[event.key === "j" ? at + 1 : Math.max(at - 1, 0)];
  const link = next && next.querySelector("a");
  if (link) link.focus();
});
