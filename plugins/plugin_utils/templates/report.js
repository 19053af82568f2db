(() => {
  "use strict";

  // Filters. Without this script everything is visible and the form is not.
  const form = document.querySelector("form.filters");
  const entries = Array.from(document.querySelectorAll("[data-entry]"));
  const sections = Array.from(document.querySelectorAll("[data-section]"));
  const total = form.querySelector("output");
  const selects = Array.from(form.querySelectorAll("select"));
  const search = form.querySelector("input");
  const texts = new Map();
  // What the reader had open before a filter opened more.
  const opened = new Set();

  const textOf = (entry) => {
    if (!texts.has(entry)) texts.set(entry, entry.textContent.toLowerCase());
    return texts.get(entry);
  };

  const matches = (entry, words) =>
    selects.every((select) => !select.value || entry.dataset[select.name] === select.value) &&
    words.every((word) => textOf(entry).includes(word));

  const apply = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const active = words.length > 0 || selects.some((select) => select.value);
    let shown = 0;
    for (const entry of entries) {
      entry.hidden = !matches(entry, words);
      if (!entry.hidden) shown += 1;
    }
    for (const section of sections) {
      const some = section.querySelector("[data-entry]:not([hidden])") !== null;
      section.hidden = active && !some;
      const fold = section.querySelector(":scope > details");
      if (fold && active && some && !fold.open) { fold.open = true; opened.add(fold); }
      if (fold && !active && opened.delete(fold)) fold.open = false;
    }
    total.textContent = active ? `${shown} of ${entries.length} shown` : "";
    remember(active);
  };

  // The fragment keeps the filter, so that a view can be bookmarked or sent.
  const remember = (active) => {
    const wanted = new URLSearchParams();
    for (const field of [...selects, search]) if (field.value) wanted.set(field.name, field.value);
    if (active || location.hash.includes("=")) {
      history.replaceState(null, "", active ? `#${wanted}` : location.pathname + location.search);
    }
  };

  const recall = () => {
    if (!location.hash.includes("=")) return;
    const wanted = new URLSearchParams(location.hash.slice(1));
    for (const field of [...selects, search]) field.value = wanted.get(field.name) || "";
  };

  form.hidden = false;
  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(apply));
  addEventListener("hashchange", () => { recall(); apply(); });
  recall();
  apply();

  // A link to a folded section unfolds it.
  document.addEventListener("click", (event) => {
    const link = event.target.closest('a[href^="#"]');
    const fold = link && document.querySelector(`${link.getAttribute("href")} > details`);
    if (fold) fold.open = true;
  });

  // Copying, where the browser allows it; one click selects the line everywhere.
  if (navigator.clipboard) {
    for (const block of document.querySelectorAll(".copy")) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = "Copy";
      button.addEventListener("click", async () => {
        try {
          await navigator.clipboard.writeText(block.querySelector("pre").textContent);
          button.textContent = "Copied";
        } catch {
          button.textContent = "Not allowed";
        }
        setTimeout(() => { button.textContent = "Copy"; }, 1500);
      });
      block.append(button);
    }
  }

  // Paper has nothing to click on.
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = Array.from(document.querySelectorAll("details:not([open])"));
    for (const fold of folded) fold.open = true;
  });
  addEventListener("afterprint", () => { for (const fold of folded) fold.open = false; });
})();
