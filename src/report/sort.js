"use strict";
(() => {
  // "5 978 042", "90.70 ± 0.12", "1e-3"; NaN for a text such as a date.
  const number = (text) => {
    const found = /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?(?=$|±|%)/i.exec(text.replace(/\s/g, ""));
    return found ? parseFloat(found[0]) : NaN;
  };

  const sort = (table, header, index) => {
    const down = header.getAttribute("aria-sort") === "ascending";
    const body = table.tBodies[0];
    const rows = Array.from(body.rows, (row) => ({ row, text: row.cells[index].textContent.trim() }));
    const filled = rows.filter(({ text }) => text !== "");
    for (const entry of filled) entry.number = number(entry.text);
    const numeric = filled.every((entry) => !Number.isNaN(entry.number));
    const order = new Intl.Collator("en", { numeric: true }).compare;
    filled.sort((a, b) => (numeric ? a.number - b.number : order(a.text, b.text)) * (down ? -1 : 1));
    // Empty cells come last in either direction.
    const empty = rows.filter(({ text }) => text === "");
    body.append(...filled.concat(empty).map(({ row }) => row));
    for (const other of header.parentElement.cells) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", down ? "descending" : "ascending");
  };

  const search = (table, words, status) => {
    const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of table.tBodies[0].rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !wanted.every((word) => text.includes(word));
      shown += row.hidden ? 0 : 1;
    }
    status.textContent = wanted.length ? `${shown} of ${table.tBodies[0].rows.length}` : "";
  };

  for (const table of document.querySelectorAll(".table table")) {
    Array.from(table.tHead.rows[0].cells).forEach((header, index) => {
      header.querySelector("button").addEventListener("click", () => sort(table, header, index));
    });
    const container = table.closest(".table");
    const field = container.querySelector("input");
    if (field) field.addEventListener("input", () => search(table, field.value, container.querySelector("[role=status]")));
  }
})();
