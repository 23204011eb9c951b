"use strict";
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
  button.textContent = copied ? "copied" : "press Ctrl C";
  setTimeout(() => { button.textContent = "copy"; }, 2000);
}));
