"use strict";

// Sorting: heads become buttons; rows stay within their body, so that what is not ranked never
// mixes with what is. Missing values come last in both directions.
function sortBy(head) {
  const table = head.closest("table");
  const column = [...head.parentNode.children].indexOf(head);
  const descending = head.getAttribute("aria-sort") === "ascending";
  for (const other of table.querySelectorAll("th[aria-sort]")) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", descending ? "descending" : "ascending");
  const sign = descending ? -1 : 1;
  const key = (row) => {
    const cell = row.children[column];
    if (head.dataset.sort === "text") {
      return (cell.querySelector("button") || cell).textContent.trim();
    }
    return cell.dataset.value ? Number(cell.dataset.value) : null;
  };
  const compare = (a, b) => {
    if (a.key === null || b.key === null) return (a.key === null) - (b.key === null);
    if (typeof a.key === "string") return sign * a.key.localeCompare(b.key, "en", { numeric: true });
    return sign * (a.key - b.key);
  };
  for (const body of table.tBodies) {
    const rows = [...body.rows].filter((row) => !row.classList.contains("group"));
    body.append(...rows.map((row) => ({ row, key: key(row) })).sort(compare).map((x) => x.row));
  }
}

for (const head of document.querySelectorAll("th[data-sort]")) {
  const button = document.createElement("button");
  button.type = "button";
  button.append(...head.childNodes);
  button.addEventListener("click", () => sortBy(head));
  head.append(button);
}

// The whole row opens what its button opens; a click that ends a selection of text does not.
for (const board of document.querySelectorAll(".board")) {
  board.addEventListener("click", (event) => {
    const row = event.target.closest("tbody tr:not(.group)");
    if (!row || event.target.closest("button") || String(getSelection())) return;
    row.querySelector(".name button").click();
  });
}

// Filters: by text, kind and problem; bodies and sections without a row left go as well.
const filters = document.querySelector(".filters");
if (filters) {
  const apply = () => {
    const words = filters.elements.text.value.toLowerCase().split(/\s+/).filter(Boolean);
    const problem = filters.elements.problem.value;
    const boxes = [...filters.querySelectorAll("[name=kind]")];
    const kinds = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
    let shown = 0;
    let total = 0;
    for (const section of document.querySelectorAll("section.problem")) {
      const chosen = !problem || section.id === problem;
      let here = 0;
      for (const body of section.querySelector(".board").tBodies) {
        let inBody = 0;
        for (const row of body.querySelectorAll("tr[data-kind]")) {
          const text = row.querySelector(".name").textContent.toLowerCase();
          const fits = chosen && kinds.has(row.dataset.kind) && words.every((w) => text.includes(w));
          row.hidden = !fits;
          inBody += fits;
          total += 1;
        }
        body.hidden = inBody === 0;
        here += inBody;
      }
      section.hidden = here === 0;
      shown += here;
    }
    for (const row of document.querySelectorAll(".overview [data-problem]")) {
      row.hidden = Boolean(problem) && row.dataset.problem !== problem;
    }
    const across = document.getElementById("across");
    if (across) across.hidden = Boolean(problem);
    filters.querySelector(".count").value =
      shown === total ? `${total} rows` : `${shown} of ${total} rows`;
  };
  filters.hidden = false;
  filters.addEventListener("input", apply);
  filters.addEventListener("submit", (event) => event.preventDefault());
  apply();
}
