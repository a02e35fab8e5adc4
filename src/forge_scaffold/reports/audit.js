// Filter and sort the table. Without this script everything is there, in the order of the verdicts.
"use strict";

const table = document.querySelector("#dependencies .table");
const rows = [...table.tBodies[0].rows];
const search = document.querySelector("#search");
const verdict = document.querySelector("#verdict");
const shown = document.querySelector("#shown");

function filter() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  for (const row of rows) {
    const text = row.textContent.toLowerCase();
    const fits = words.every((word) => text.includes(word));
    row.hidden = !fits || (verdict.value !== "" && row.dataset.verdict !== verdict.value);
    count += row.hidden ? 0 : 1;
  }
  shown.textContent = `${count} of ${rows.length} shown`;
}

function sort(header, column) {
  const down = header.getAttribute("aria-sort") === "ascending";
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", down ? "descending" : "ascending");
  const key = (row) => row.cells[column].dataset.sort;
  const order = new Intl.Collator("en", { numeric: true });
  rows.sort((one, other) => order.compare(key(one), key(other)) * (down ? -1 : 1));
  table.tBodies[0].append(...rows);
}

document.querySelector(".filters").hidden = false;
search.addEventListener("input", filter);
verdict.addEventListener("input", filter);
[...table.tHead.rows[0].cells].forEach((header, column) => {
  const button = document.createElement("button");
  button.type = "button";
  button.append(...header.childNodes);
  header.append(button);
  button.addEventListener("click", () => sort(header, column));
});
filter();

// A link to code opens what it leads to.
function open() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target instanceof HTMLDetailsElement) target.open = true;
}
window.addEventListener("hashchange", open);
open();
