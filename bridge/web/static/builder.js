"use strict";
// The feed builder of the start page: previews the selected feed, and shows its address.

(() => {
  const form = document.querySelector("[data-builder]");
  const preview = form.querySelector("[data-preview]");
  const address = form.querySelector("[data-address]");
  const chosen = form.querySelector("[data-chosen]");
  const glance = form.querySelector("[data-glance]");
  const open = form.querySelector("[data-open]");
  const words = preview.dataset;
  // Those parameters whose single value has a page of its own.
  const ownPages = new Set(["venues", "rooms", "instructors", "course", "offering_types"]);
  const MAX_PREVIEWED = 3;
  let request = null;
  let timer = 0;

  open.textContent = open.dataset.open;
  glance.hidden = false;

  function selectedIds() {
    const values = new Map();
    for (const box of form.querySelectorAll("input:checked")) {
      values.set(box.name, [...(values.get(box.name) || []), box.value]);
    }
    return values;
  }

  function options() {
    return [...form.querySelectorAll("select")]
      .filter((select) => select.selectedIndex > 0)
      .map((select) => [select.name, select.value]);
  }

  // As the bridge writes addresses: no commas, and the suffix at the end, where clients expect it.
  function path(values, extension) {
    const query = options();
    const filters = [...values];
    const single = filters.length === 1 && filters[0][1].length === 1 && ownPages.has(filters[0][0]);
    let start = `/sessions${extension}`;
    if (single) {
      const box = form.querySelector(`input[name="${filters[0][0]}"]:checked`);
      const page = box.closest("li").querySelector("a").pathname;
      start = page.slice(address.dataset.root.length) + extension;
    } else {
      for (const [name, ids] of filters) {
        for (const id of ids.sort((a, b) => a - b)) query.push([name, id]);
      }
    }
    const { feedLanguage } = address.dataset;
    if (extension && feedLanguage) query.push(["lang", feedLanguage]);
    if (query.length && extension) query.push(["_", extension]);
    return start + (query.length ? `?${new URLSearchParams(query)}` : "");
  }

  function names() {
    const labels = [...form.querySelectorAll("input:checked")].map(
      (box) => box.closest("label").querySelector("bdi").textContent,
    );
    if (labels.length) return labels.join(", ");
    const sources = form.querySelector("select[name=sources]");
    return sources && sources.selectedIndex > 0
      ? sources.selectedOptions[0].text
      : chosen.dataset.everything;
  }

  function timeAndPlace(session) {
    const venue = session.venue || {};
    const zone = { timeZone: venue.timezone || "UTC" };
    const start = new Date(session.start);
    const day = { weekday: "short", day: "numeric", month: "short", ...zone };
    const parts = [
      new Intl.DateTimeFormat(words.locale, day).format(start),
      new Intl.DateTimeFormat(words.locale, { timeStyle: "short", ...zone }).format(start),
      [venue.name, session.room && session.room.name].filter(Boolean).join(", "),
    ];
    return parts.filter(Boolean).join(" · ");
  }

  function element(name, text, className) {
    const created = document.createElement(name);
    created.textContent = text;
    if (className) created.className = className;
    return created;
  }

  function show(sessions) {
    if (!sessions.length) {
      preview.replaceChildren(element("p", words.empty));
      glance.replaceChildren(element("bdi", chosen.textContent));
      return;
    }
    const rules = new Intl.PluralRules(document.documentElement.lang);
    const forms = JSON.parse(words.count);
    const count = new Intl.NumberFormat(words.locale).format(sessions.length);
    const list = element("ol", "", "next");
    for (const session of sessions.slice(0, MAX_PREVIEWED)) {
      const item = document.createElement("li");
      item.append(element("span", timeAndPlace(session), "at"), element("bdi", session.title));
      list.append(item);
    }
    const form = forms[rules.select(sessions.length)] || forms.other;
    const text = form.replace("{count}", count);
    preview.replaceChildren(element("p", text, "count"), list);
    glance.replaceChildren(element("bdi", chosen.textContent), element("span", text));
  }

  async function loadPreview(values) {
    if (request) request.abort();
    request = new AbortController();
    const { signal } = request;
    try {
      const separator = path(values, ".json").includes("?") ? "&" : "?";
      const start = new Date().toISOString().replace(/:\d\d\.\d+Z/, ":00Z");
      const url = `${address.dataset.root}${path(values, ".json")}${separator}start=${start}`;
      const response = await fetch(url, { signal, credentials: "omit" });
      if (!response.ok) throw new Error(response.status);
      show(await response.json());
      if ((response.headers.get("Cache-Status") || "").includes("trimmed")) {
        preview.append(element("p", words.trimmed, "small"));
      }
    } catch (error) {
      if (error.name === "AbortError") return;
      preview.replaceChildren(element("p", words.failed));
      glance.replaceChildren(element("bdi", chosen.textContent));
    }
  }

  function update() {
    const values = selectedIds();
    chosen.textContent = names();
    address.value = address.dataset.base + path(values, ".ics");
    if (!glance.children.length) glance.append(element("bdi", chosen.textContent));
    // The old preview stays until the new one is loaded, so that the layout does not jump.
    if (!preview.children.length) preview.replaceChildren(element("p", words.counting));
    clearTimeout(timer);
    timer = setTimeout(() => loadPreview(values), 200);
  }

  form.addEventListener("change", update);
  form.addEventListener("reset", () => setTimeout(update, 0));
  // A single venue, room, instructor, course or type has its own page.
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const language = new URLSearchParams(location.search).get("lang");
    const page = path(selectedIds(), "");
    const separator = page.includes("?") ? "&" : "?";
    const tail = language ? `${separator}lang=${encodeURIComponent(language)}` : "";
    location.assign(address.dataset.root + page + tail);
  });
  update();
})();
