"use strict";
// Optional enhancements: buttons for copying, sharing and printing, and what fits the device first.

// Shows a button; returns a function that shows a message on it for a moment.
function messages(button) {
  const label = button.textContent;
  const status = document.createElement("span");
  status.className = "unseen";
  status.setAttribute("role", "status");
  button.after(status);
  button.hidden = false;
  return (message) => {
    button.textContent = status.textContent = message;
    setTimeout(() => {
      button.textContent = label;
      status.textContent = "";
    }, 2500);
  };
}

// Copies a text; returns whether that was possible.
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // The clipboard API needs a secure context, and the visitor's permission.
    const field = document.createElement("textarea");
    field.value = text;
    document.body.append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    return done;
  }
}

for (const button of document.querySelectorAll("[data-copy]")) {
  const field = document.getElementById(button.dataset.copy);
  const show = messages(button);
  button.addEventListener("click", async () => {
    const done = await copy(field.value);
    field.select();
    show(done ? button.dataset.done : button.dataset.byhand);
  });
}

for (const button of document.querySelectorAll("[data-share]")) {
  const url = new URL(button.dataset.share, location).href;
  const show = messages(button);
  button.addEventListener("click", async () => {
    if (navigator.share) {
      try {
        await navigator.share({ title: document.title, url });
        return;
      } catch (error) {
        if (error.name === "AbortError") return;
      }
    }
    if (await copy(url)) show(button.dataset.done);
    else prompt(button.textContent, url);
  });
}

for (const field of document.querySelectorAll("[data-copy-all], .copy input, .copy textarea")) {
  field.addEventListener("focus", () => field.select());
}

const ways = document.querySelector("[data-ways]");
if (ways) {
  const device = navigator.userAgent;
  const android = /Android/.test(device) && document.querySelector("[data-android]");
  const name = /CrOS/.test(device) ? "google"
    : /iPhone|iPad|Macintosh/.test(device) ? "apple"
    : /Windows/.test(device) ? "outlook"
    : null;
  const item = android || (name && ways.querySelector(`[data-way="${name}"]`));
  if (item) {
    (android ? ways : ways.firstChild).before(item);
    item.classList.add("first");
  }
}

for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => window.print());
}
