"use strict";
// The embed builder of a timetable's page: shows a preview, and updates the code with each choice.
// The code is that of the page which the form leads to, so only the bridge writes it.

(() => {
  const form = document.querySelector("[data-embed-builder]");
  const details = form.closest("details");
  const code = document.getElementById("code");
  const status = form.querySelector("[data-embed-status]");
  const stage = document.createElement("div");
  const frame = document.createElement("iframe");
  let link = form.querySelector("[data-embed-preview]");
  let request = null;
  let timer = 0;

  stage.className = "stage";
  stage.append(frame);
  form.after(stage);
  form.querySelector(".acts").hidden = true;

  function preview() {
    const { ground, height, title } = link.dataset;
    stage.className = `stage ${ground}`;
    frame.title = title;
    // Either embed.js fits the frame to its content, or these limits keep it at its height.
    frame.style.minHeight = frame.style.maxHeight = height ? `${height}px` : "";
    if (frame.src !== link.href) frame.src = link.href;
  }

  async function update() {
    if (request) request.abort();
    request = new AbortController();
    try {
      const query = new URLSearchParams(new FormData(form));
      const response = await fetch(`${form.action.split("#")[0]}?${query}`, {
        signal: request.signal,
        credentials: "omit",
      });
      if (!response.ok) throw new Error(response.status);
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      const updated = document.importNode(page.querySelector("[data-embed-preview]"), true);
      link.replaceWith(updated);
      link = updated;
      code.value = page.getElementById("code").value;
      status.textContent = "";
      preview();
    } catch (error) {
      if (error.name !== "AbortError") status.textContent = form.dataset.failed;
    }
  }

  function updateSoon() {
    clearTimeout(timer);
    timer = setTimeout(() => form.checkValidity() && update(), 250);
  }

  form.addEventListener("input", updateSoon);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    updateSoon();
  });
  details.addEventListener("toggle", () => {
    if (details.open) preview();
  });
  // A link to the builder opens it.
  function openIfLinked() {
    if (location.hash === "#embed") details.open = true;
  }
  window.addEventListener("hashchange", openIfLinked);
  openIfLinked();
  if (details.open) preview();
})();
