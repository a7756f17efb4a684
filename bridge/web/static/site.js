"use strict";
// Optional enhancements: copy buttons, the device's calendar first, and print buttons.

for (const button of document.querySelectorAll("[data-copy]")) {
  const field = document.getElementById(button.dataset.copy);
  const label = button.textContent;
  const status = document.createElement("span");
  status.className = "unseen";
  status.setAttribute("role", "status");
  button.after(status);
  button.hidden = false;
  button.addEventListener("click", async () => {
    let message = button.dataset.done;
    field.select();
    try {
      await navigator.clipboard.writeText(field.value);
    } catch {
      // The clipboard API needs a secure context, and the visitor's permission.
      if (!document.execCommand("copy")) message = button.dataset.byhand;
    }
    button.textContent = status.textContent = message;
    setTimeout(() => {
      button.textContent = label;
      status.textContent = "";
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
