"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const rows = [...document.querySelectorAll(".c")];
  // A link to a change opens it.
  const arrive = () => {
    const row = /^#c\d+$/.test(location.hash) && $(location.hash.slice(1));
    if (row) {
      row.hidden = false;
      row.open = true;
      row.scrollIntoView();
    }
  };
  addEventListener("hashchange", arrive);
  arrive();
  // Paper has nothing to click on.
  addEventListener("beforeprint", () => rows.length <= 2000 && rows.forEach((row) => (row.open = true)));
  const form = $("filter");
  if (!form) return;
  form.hidden = false;
  let texts;
  const filter = () => {
    texts ??= rows.map((row) => row.firstElementChild.textContent.toLowerCase());
    const words = $("f-text").value.toLowerCase().split(/\s+/).filter(Boolean);
    const action = $("f-action").value;
    const target = $("f-target")?.value.trim() ?? "";
    let shown = 0;
    rows.forEach((row, at) => {
      const on = row.dataset.t;
      const fits =
        (!action || row.dataset.a === action) &&
        (!target || on === undefined || on.split(" ").some((name) => name.includes(target))) &&
        words.every((word) => texts[at].includes(word));
      row.hidden = !fits;
      shown += fits;
    });
    for (const part of document.querySelectorAll(".part")) {
      part.hidden = !part.querySelector(".c:not([hidden])");
    }
    $("f-count").value = shown === rows.length ? "" : `${shown} of ${rows.length} lines`;
  };
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  const all = (open) => rows.forEach((row) => row.hidden || (row.open = open));
  $("f-open").addEventListener("click", () => all(true));
  $("f-close").addEventListener("click", () => all(false));
  const step = (by) => {
    const seen = rows.filter((row) => !row.hidden);
    const now = seen.indexOf(document.activeElement.closest?.(".c"));
    const next = seen[Math.min(Math.max(now + by, 0), seen.length - 1)];
    next?.firstElementChild.focus();
    next?.scrollIntoView({ block: "nearest" });
  };
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape" && event.target.closest?.("#filter")) return event.target.blur();
    if (event.target.closest?.("input, select")) return;
    const row = document.activeElement.closest?.(".c");
    const keys = {
      "/": () => $("f-text").focus(),
      j: () => step(1),
      k: () => step(-1),
      o: () => row && (row.open = !row.open),
    };
    if (Object.hasOwn(keys, event.key)) {
      event.preventDefault();
      keys[event.key]();
    }
  });
})();
