"use strict";
// Words in the language of the page, by the English ones.
const translated = JSON.parse(document.getElementById("words").textContent);
const t = (english, values = {}) => (translated[english] || english).replace(/\{(\w+)\}/g, (_, name) => values[name]);

// Copies the report text: by the clipboard where the browser lets a file use it, else by a selection.
document.querySelectorAll("button.copy").forEach((button) => button.addEventListener("click", async () => {
  const text = document.getElementById(button.dataset.of);
  let copied = false;
  try {
    await navigator.clipboard.writeText(text.textContent);
    copied = true;
  } catch {
    getSelection().selectAllChildren(text);
    copied = document.execCommand("copy");
  }
  button.textContent = copied ? t("copied") : t("press Ctrl C");
  setTimeout(() => { button.textContent = t("copy"); }, 2000);
}));
