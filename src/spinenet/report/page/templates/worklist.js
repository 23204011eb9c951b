const body = document.querySelector("#worklist tbody");
const rows = [...body.rows];
const texts = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));
const grades = JSON.parse(document.getElementById("grades").textContent);
const field = (id) => document.getElementById(id);
const gradesOf = (row) => grades[row.dataset.study] || [];

function fits(row) {
  const words = field("search").value.toLowerCase().split(/\s+/).filter(Boolean), finding = field("finding").value;
  return words.every((word) => texts.get(row).includes(word))
    && [["urgency", "word"], ["status", "status"]].every(([id, key]) => field(id).value === "" || row.dataset[key] === field(id).value)
    && (field("lacking").value === "" || row.dataset.lacking.split("|").includes(field("lacking").value))
    && (finding === "" || gradesOf(row).some(([, title, , , , found]) => title === finding && found));
}

function filter() {
  let shown = 0;
  for (const row of rows) {
    row.hidden = !fits(row);
    shown += !row.hidden;
  }
  field("count").textContent = t("{shown} of {seen} studies", { shown, seen: rows.length });
  field("nothing").hidden = shown > 0;
}

function sort(button) {
  const head = button.closest("th"), key = button.dataset.key;
  const words = key !== "place";
  const first = words && key !== "date" ? "ascending" : "descending", second = first === "ascending" ? "descending" : "ascending";
  const order = head.getAttribute("aria-sort") === first ? second : first;
  document.querySelectorAll("[aria-sort]").forEach((other) => other.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", order);
  const sign = order === "ascending" ? 1 : -1;
  const compare = (a, b) => words ? a.dataset[key].localeCompare(b.dataset[key]) : a.dataset[key] - b.dataset[key];
  rows.sort((a, b) => sign * compare(a, b) || b.dataset.place - a.dataset.place);
  body.append(...rows);
}

// Sets of columns for a spreadsheet: a head, and for each row shown its lines.
function table(kind) {
  const shown = rows.filter((row) => !row.hidden), study = (row) => [row.dataset.study, row.dataset.patient, row.dataset.date];
  const named = [t("study"), t("patient"), t("examined")];
  if (kind === "list") {
    const cell = (row, name) => [...(row.querySelector(`[data-column="${name}"]`)?.querySelectorAll("span.finding, .reasons span, :scope > span") || [])].map((one) => one.textContent).join("; ");
    const columns = ["why", "open", "lacks", "cautions"];
    return [[...named, t("priority"), t("status"), t("why"), t("cannot exclude"), t("series lacking"), t("cautions")],
      ...shown.map((row) => [...study(row), row.querySelector(".urgency").textContent, row.querySelector('[data-column="status"]').firstChild.textContent, ...columns.map((name) => cell(row, name))])];
  }
  if (kind === "studies") {
    const keys = [...new Set(shown.flatMap((row) => gradesOf(row).map(([level, title]) => `${level} ${title}`)))];
    return [[...named, ...keys], ...shown.map((row) => {
      const said = new Map(gradesOf(row).map(([level, title, words]) => [`${level} ${title}`, words]));
      return [...study(row), ...keys.map((key) => said.get(key) ?? "")];
    })];
  }
  const kept = (grade) => kind === "grades" || grade[5];
  return [[...named, t("level"), t("what"), t("grade"), t("per cent"), t("how surely")], ...shown.flatMap((row) => gradesOf(row).filter(kept).map((one) => [...study(row), ...one.slice(0, 5)]))];
}

// What begins like a formula is none in a spreadsheet.
const quoted = (value) => `"${String(value).replace(/^[=+\-@\t\r]/, "'$&").replaceAll('"', '""')}"`;

function save() {
  const text = table(field("columns").value).map((line) => line.map(quoted).join(",")).join("\r\n") + "\r\n";
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob(["\ufeff", text], { type: "text/csv" }));
  link.download = `worklist-${field("columns").value}.csv`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

field("filters").addEventListener("input", filter);
field("filters").addEventListener("submit", (event) => event.preventDefault());
field("filters").addEventListener("reset", () => setTimeout(filter));
field("export").addEventListener("click", save);
document.querySelectorAll("thead button").forEach((button) => button.addEventListener("click", () => sort(button)));
