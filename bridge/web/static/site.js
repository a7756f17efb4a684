"use strict";
// Every page works without this: it copies addresses, puts the right calendar first, and prints.

for (const button of document.querySelectorAll("[data-copy]")) {
  const field = document.getElementById(button.dataset.copy);
  const label = button.textContent;
  const said = document.createElement("span");
  said.className = "unseen";
  said.setAttribute("role", "status");
  button.after(said);
  button.hidden = false;
  button.addEventListener("click", async () => {
    let told = button.dataset.done;
    field.select();
    try {
      await navigator.clipboard.writeText(field.value);
    } catch {
      // only secure contexts have a clipboard, and a visitor may refuse it
      if (!document.execCommand("copy")) told = button.dataset.byhand;
    }
    button.textContent = said.textContent = told;
    setTimeout(() => {
      button.textContent = label;
      said.textContent = "";
    }, 2500);
  });
}

for (const field of document.querySelectorAll("[data-copy-all], .copy input, .copy textarea")) {
  field.addEventListener("focus", () => field.select());
}

const ways = document.querySelector("[data-ways]");
if (ways) {
  const device = navigator.userAgent;
  const first = /Android|CrOS/.test(device) ? "google"
    : /iPhone|iPad|Macintosh/.test(device) ? "apple"
    : /Windows/.test(device) ? "outlook"
    : null;
  const item = first && ways.querySelector(`[data-way="${first}"]`);
  if (item) {
    ways.prepend(item);
    item.classList.add("first");
  }
}

for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => window.print());
}
