"use strict";
const body = document.querySelector("#worklist tbody");
const rows = [...body.rows];
const texts = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));
const field = (id) => document.getElementById(id);

function filter() {
  const words = field("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const urgency = field("urgency").value, status = field("status").value;
  let shown = 0;
  for (const row of rows) {
    row.hidden = !words.every((word) => texts.get(row).includes(word))
      || (urgency !== "" && row.dataset.word !== urgency)
      || (status !== "" && row.dataset.status !== status);
    shown += !row.hidden;
  }
  field("count").textContent = `${shown} of ${rows.length}`;
  field("nothing").hidden = shown > 0;
}

function sort(button) {
  const head = button.closest("th"), key = button.dataset.key;
  const words = key === "study" || key === "status";
  const first = words ? "ascending" : "descending", second = words ? "descending" : "ascending";
  const order = head.getAttribute("aria-sort") === first ? second : first;
  document.querySelectorAll("[aria-sort]").forEach((other) => other.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", order);
  const sign = order === "ascending" ? 1 : -1;
  const compare = (a, b) => words ? a.dataset[key].localeCompare(b.dataset[key]) : a.dataset[key] - b.dataset[key];
  rows.sort((a, b) => sign * compare(a, b) || a.dataset.study.localeCompare(b.dataset.study));
  body.append(...rows);
}

field("filters").addEventListener("input", filter);
field("filters").addEventListener("submit", (event) => event.preventDefault());
field("filters").addEventListener("reset", () => setTimeout(filter));
document.querySelectorAll("thead button").forEach((button) => button.addEventListener("click", () => sort(button)));
