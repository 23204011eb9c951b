// The form in which a reader changes grades: it is made when it is opened, and saved as a file. The data are html.py's.
(() => {
  const data = JSON.parse(document.getElementById("grades").textContent);
  const details = document.getElementById("correct"), form = details.querySelector("form");
  const STRUCK = "struck";

  function made(tag, parent, values = {}) {
    const element = Object.assign(document.createElement(tag), values);
    parent.append(element);
    return element;
  }

  function gradeCell(row, level, target) {
    const cell = made("td", row), given = data.given[level]?.[target.name];
    const select = made("select", cell, { name: `${level}|${target.name}` });
    select.setAttribute("aria-label", `${level} ${target.title}`);
    made("option", select, { value: "", textContent: given === undefined ? t("not graded") : given });
    target.grades.forEach((grade, index) => made("option", select, { value: grade, textContent: target.words[index] }));
    if (given !== undefined) made("option", select, { value: STRUCK, textContent: t("struck") });
    select.addEventListener("change", () => cell.classList.toggle("changed", select.value !== ""));
  }

  function build() {
    const head = made("tr", form.querySelector("thead"));
    for (const title of ["", ...data.levels]) title ? made("th", head, { scope: "col", textContent: title }) : made("td", head);
    const row = (title, cell) => {
      const line = made("tr", form.querySelector("tbody"));
      made("th", line, { scope: "row", textContent: title });
      for (const level of data.levels) cell(line, level);
    };
    for (const target of data.targets) row(target.title, (line, level) => gradeCell(line, level, target));
    row(t("No disc"), (line, level) => made("input", made("td", line), { type: "checkbox", name: `struck|${level}`, ariaLabel: t("{level} is no disc", { level }) }));
    for (const level of data.levels) unsureLine(level);
    row(t("Comment"), (line, level) => made("input", made("td", line), { name: `comment|${level}`, ariaLabel: t("comment on {level}", { level }) }));
  }

  // What is only likely or possible at a level, to be taken over with a tick; without what the reader graded or struck.
  function unsureLine(level) {
    if (!data.unsure[level]) return;
    const line = made("li", form.querySelector(".unsure ul")), label = made("label", line);
    const box = made("input", label, { type: "checkbox", name: `adopted|${level}` });
    label.append(" ");
    made("b", label, { textContent: level, dir: "ltr" });
    const list = made("ul", line);
    const fields = form.elements;
    const show = () => {
      const isStruck = fields[`struck|${level}`]?.checked;
      const left = isStruck ? [] : Object.entries(data.unsure[level]).filter(([target]) => fields[`${level}|${target}`].value === "");
      list.replaceChildren(...left.map(([, words]) => Object.assign(document.createElement("li"), { textContent: words })));
      line.hidden = !left.length;
      if (line.hidden) box.checked = false;
    };
    form.addEventListener("change", show);
    show();
  }

  // What a reader changed before stands in the form again.
  function fill({ reader, shift, struck, adopted, grades, comments }) {
    const fields = form.elements;
    Object.assign(fields.reader, { value: reader });
    Object.assign(fields.shift, { value: shift });
    Object.assign(fields.comment, { value: comments[""] || "" });
    struck.forEach((level) => { fields[`struck|${level}`].checked = true; });
    adopted.forEach((level) => { if (fields[`adopted|${level}`]) fields[`adopted|${level}`].checked = true; });
    for (const level of data.levels) fields[`comment|${level}`].value = comments[level] || "";
    for (const [level, changed] of Object.entries(grades)) for (const [target, grade] of Object.entries(changed)) {
      const select = fields[`${level}|${target}`];
      if (select) select.value = grade === null ? STRUCK : grade;
      select?.dispatchEvent(new Event("change", { bubbles: true }));
    }
  }

  function corrections() {
    const fields = form.elements, grades = {}, comments = {}, struck = [], adopted = [];
    for (const level of data.levels) {
      for (const { name } of data.targets) {
        const value = fields[`${level}|${name}`].value;
        if (value !== "") (grades[level] ||= {})[name] = value === STRUCK ? null : Number(value);
      }
      if (fields[`struck|${level}`].checked) struck.push(level);
      if (fields[`adopted|${level}`]?.checked) adopted.push(level);
      if (fields[`comment|${level}`].value.trim()) comments[level] = fields[`comment|${level}`].value.trim();
    }
    if (fields.comment.value.trim()) comments[""] = fields.comment.value.trim();
    return {
      corrections: 2, study: data.study, model: data.model, reader: fields.reader.value.trim(), at: new Date().toISOString(),
      approved: fields.approved.checked, shift: Number(fields.shift.value), struck, adopted, grades, comments,
    };
  }

  details.addEventListener("toggle", () => { 
    if (!details.open || form.querySelector("thead tr")) return;
    build();
    if (data.earlier) fill(data.earlier);
  });
  // Within `spinenet app` corrections are sent to it; elsewhere they are saved as a file for `spinenet apply`.
  const isInApp = location.protocol !== "file:" && location.hostname === "127.0.0.1" && location.pathname.startsWith("/results/reports/");
  details.querySelectorAll(isInApp ? ".as-file" : ".in-app").forEach((one) => one.remove());
  details.querySelectorAll(".in-app").forEach((one) => { one.hidden = false; });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (isInApp) {
      const sent = made("form", document.body, { method: "post", action: "/corrections", hidden: true });
      made("input", sent, { name: "corrections", value: JSON.stringify(corrections()) });
      return sent.submit();
    }
    const file = new Blob([JSON.stringify(corrections(), null, 1)], { type: "application/json" });
    const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(file), download: "corrected.json" });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    form.querySelector(".saved").textContent = t("saved among your downloads");
  });
})();
