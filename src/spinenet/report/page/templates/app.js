// The local page: sends what is dropped to the program on this computer, and shows how far it is.
const find = (id) => document.getElementById(id);
const AT_ONCE = 4;
const sending = new Map();
let shown = "";

async function ask(method, address, body) {
  const answer = await fetch(address, { method, body });
  if (!answer.ok) throw new Error(await answer.text());
  return answer;
}

// Files below a dropped entry, each with its path.
async function filesBelow(entry, before = "") {
  if (entry.isFile) return [[before + entry.name, await new Promise((done, failed) => entry.file(done, failed))]];
  const reader = entry.createReader(), entries = [];
  for (;;) {
    const some = await new Promise((done, failed) => reader.readEntries(done, failed));
    if (!some.length) break;
    entries.push(...some);
  }
  return (await Promise.all(entries.map((inner) => filesBelow(inner, `${before}${entry.name}/`)))).flat();
}

async function send(named) {
  if (!named.length) return;
  if (named.every(([name]) => /(^|\/)corrected[^/]*\.json$/.test(name))) {
    for (const [, file] of named) await ask("POST", "/corrections", new URLSearchParams({ corrections: await file.text() }));
    return;
  }
  const { key } = await (await ask("POST", "/drops")).json(), waiting = [...named];
  const state = { sent: 0, total: named.length, failed: "" };
  sending.set(key, state);
  const sendSome = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      await ask("PUT", `/drops/${key}?name=${encodeURIComponent(next[0])}`, next[1]);
      state.sent += 1;
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, sendSome));
  sending.delete(key);
  await ask("POST", `/drops/${key}`);
}

const attempt = (work) => work.catch((error) => { find("drops").prepend(Object.assign(document.createElement("li"), { className: "failed", textContent: error.message })); });

function lineOf(drop) {
  const line = document.createElement("li"), state = sending.get(drop.key);
  const words = {
    receiving: state ? t("copying {sent} of {total} files", state) : t("copying"), waiting: t("waiting"),
    grading: drop.total ? t("grading {done} of {total}", drop) : t("reading headers"), done: t("done"), failed: t("gone wrong"),
  };
  line.dataset.state = drop.state;
  if (drop.state === "failed") line.className = "failed";
  line.append(`${words[drop.state]} `);
  if (drop.state === "grading" || state) {
    const bar = document.createElement("progress");
    bar.setAttribute("aria-label", t("progress"));
    const [done, total] = state ? [state.sent, state.total] : [drop.done, drop.total];
    if (total) Object.assign(bar, { max: total, value: done });
    line.append(bar);
  }
  for (const words of drop.told) line.append(Object.assign(document.createElement("small"), { textContent: words, dir: "auto" }));
  return line;
}

async function look() {
  try {
    const { drops, results } = await (await ask("GET", "/progress")).json(), now = JSON.stringify(drops) + JSON.stringify([...sending.values()]);
    if (now !== shown) {
      shown = now;
      find("drops").replaceChildren(...drops.map(lineOf));
    }
    const done = drops.filter((drop) => drop.state === "done").length;
    if (results && find("worklist").dataset.done !== String(done)) {
      find("worklist").dataset.done = done;
      find("results").hidden = false;
      find("worklist").src = `/results/worklist.html?${done}`;
    }
  } catch (error) {
    find("drops").replaceChildren(Object.assign(document.createElement("li"), { className: "failed", textContent: t("spinenet app was stopped; start it again") }));
  }
  setTimeout(look, 700);
}

// A button behind a study's key that deletes it, once it is asked whether that is meant.
function deleteButton(row) {
  const study = row.dataset.study, button = document.createElement("button");
  Object.assign(button, { type: "button", className: "delete", textContent: t("delete") });
  button.setAttribute("aria-label", t("delete {study}", { study }));
  button.addEventListener("click", () => {
    if (!confirm(t("Delete {study} with its images, results and corrections? This cannot be undone.", { study }))) return;
    button.disabled = true;
    attempt(ask("DELETE", `/studies/${encodeURIComponent(study)}`));
  });
  return button;
}

find("worklist").addEventListener("load", () => {
  const list = find("worklist").contentDocument;
  for (const link of list.querySelectorAll("a[href]")) link.target = "_top";
  for (const row of list.querySelectorAll("tr[data-study]")) row.querySelector("th").append(deleteButton(row));
});
const drop = find("drop");
for (const kind of ["dragenter", "dragover"]) document.addEventListener(kind, (event) => { event.preventDefault(); drop.classList.add("over"); });
document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) drop.classList.remove("over"); });
document.addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry()).filter(Boolean);
  attempt(Promise.all(entries.map((entry) => filesBelow(entry))).then((found) => send(found.flat())));
});
document.querySelectorAll("[data-choose]").forEach((button) => button.addEventListener("click", () => find(button.dataset.choose).click()));
for (const id of ["folder", "files"]) find(id).addEventListener("change", (event) => {
  attempt(send([...event.target.files].map((file) => [file.webkitRelativePath || file.name, file])));
  event.target.value = "";
});
look();
