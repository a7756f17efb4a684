"use strict";
// The start page: search in its lists, and the feed builder, which counts the classes of each choice,
// previews the chosen feed and shows its address.

const LETTERS = { ł: "l", ø: "o", đ: "d", ı: "i", ß: "ss", æ: "ae", œ: "oe" };
const fold = (text) =>
  text.toLowerCase().normalize("NFKD").replace(/\p{M}/gu, "").replace(/[łøđıßæœ]/g, (letter) => LETTERS[letter]);

for (const field of document.querySelectorAll("[data-find]")) {
  const groups = [...document.querySelectorAll(`#${field.dataset.find} [data-group]`)].map((group) => ({
    group,
    rows: [...group.querySelectorAll("li")].map((row) => [row, fold(row.textContent)]),
    lists: [group, ...group.querySelectorAll("details")].filter((list) => list.matches("details")),
  }));
  for (const { lists } of groups) for (const list of lists) list.dataset.closed = list.open ? "" : "1";
  const status = field.parentElement.querySelector("[role=status]");
  field.closest(".find").hidden = false;
  field.addEventListener("input", () => {
    const words = fold(field.value).split(/\s+/).filter(Boolean);
    let found = 0;
    for (const { group, rows, lists } of groups) {
      const shown = rows.filter(([row, text]) => !(row.hidden = !words.every((word) => text.includes(word))));
      found += shown.length;
      for (const list of lists) {
        list.open = words.length > 0 || !list.dataset.closed;
        list.hidden = !list.querySelector("li:not([hidden])");
      }
      group.hidden = !shown.length;
    }
    status.textContent = found ? "" : status.dataset.none;
  });
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter") event.preventDefault();
  });
}

(() => {
  const form = document.querySelector("[data-builder]");
  const preview = form.querySelector("[data-preview]");
  const address = form.querySelector("[data-address]");
  const chosen = form.querySelector("[data-chosen]");
  const glance = form.querySelector("[data-glance]");
  const open = form.querySelector("[data-open]");
  const when = form.querySelector("[data-when]");
  const sources = form.querySelector("select[name=sources]");
  const boxes = [...form.querySelectorAll("input[type=checkbox]")];
  const days = boxes.filter((box) => box.name === "weekdays");
  const [from, until] = [form.querySelector("#time_from"), form.querySelector("#time_until")];
  const words = preview.dataset;
  // Those parameters whose single value has a page of its own, and the first segment of its path.
  const ownPages = {
    venues: "venues", rooms: "rooms", instructors: "instructors", course: "courses", offering_types: "types",
  };
  const dayNames = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
  // Name, start and end of the parts of the day.
  const parts = JSON.parse(when.dataset.when).map((name, number) => [
    name, ["", "12:00", "17:00"][number], ["12:00", "17:00", ""][number],
  ]);
  const PREVIEWED = 3;
  let request = null;
  let timer = 0;

  open.textContent = open.dataset.open;
  glance.hidden = false;
  form.querySelector("[data-counts]").hidden = !form.dataset.facets;

  function element(name, text, className) {
    const created = document.createElement(name);
    created.textContent = text;
    if (className) created.className = className;
    return created;
  }

  // What is chosen

  function selected() {
    const values = new Map();
    for (const box of boxes.filter((box) => box.checked)) {
      values.set(box.name, [...(values.get(box.name) || []), box.value]);
    }
    return values;
  }

  function options() {
    const selects = [...form.querySelectorAll("select")].filter((select) => select.selectedIndex > 0);
    return [...selects, from, until].filter((field) => field.value).map((field) => [field.name, field.value]);
  }

  // As the bridge writes addresses: no comma, no %, and the suffix at the end, where clients expect it.
  function path(extension) {
    const query = [];
    const values = selected();
    const objects = [...values.keys()].filter((name) => name !== "weekdays");
    let start = "/sessions";
    if (objects.length === 1 && ownPages[objects[0]] && values.get(objects[0]).length === 1) {
      start = `/${ownPages[objects[0]]}/${values.get(objects[0])[0]}`;
      values.delete(objects[0]);
      const page = [...document.querySelectorAll("#directory a")].map((link) => link.pathname)
        .find((link) => link.startsWith(`${address.dataset.root}${start}-`));
      if (page) start = page.slice(address.dataset.root.length);
    }
    for (const [name, items] of values) {
      items.sort((a, b) => dayNames.indexOf(a) - dayNames.indexOf(b) || a - b);
      for (const item of items) query.push([name, item]);
    }
    query.push(...options());
    const { feedLanguage } = address.dataset;
    if (extension && feedLanguage) query.push(["lang", feedLanguage]);
    if (query.length && extension) query.push(["_", extension]);
    return start + extension + (query.length ? `?${query.map((pair) => pair.join("=")).join("&")}` : "");
  }

  function names() {
    const labels = boxes.filter((box) => box.checked).map((box) => box.labels[0].querySelector("bdi").textContent);
    for (const field of [from, until]) {
      if (field.value) labels.push(field.dataset.text.replace("{time}", field.value));
    }
    if (labels.length) return labels.join(", ");
    return sources && sources.selectedIndex > 0 ? sources.selectedOptions[0].text : chosen.dataset.everything;
  }

  // How many classes each choice has

  const inPart = (minute, first, last) => {
    const [start, end] = [first, last].map((text) => text && text.slice(0, 2) * 60 + +text.slice(3));
    const [after, before] = [start === "" || minute >= start, end === "" || minute < end];
    return start !== "" && end !== "" && start > end ? after || before : after && before;
  };
  const facets = form.dataset.facets && JSON.parse(form.dataset.facets);
  const split = (text, at) => (text ? text.split(at) : []);
  const fields = facets ? Object.keys(facets).filter((name) => name !== "rows") : [];
  const ids = fields.map((name) => split(facets[name], ","));
  const rows = split(facets && facets.rows, ";").map((row) => {
    const parts = row.split(".").map((part) => split(part, ","));
    return { values: ids.map((own, number) => parts[number].map((at) => own[at])), slots: parts.at(-1).map(Number) };
  });

  function count() {
    const values = selected();
    if (sources) values.set("sources", sources.value.split(","));
    const chosenDays = values.get("weekdays") || dayNames;
    const counts = { all: 0, days: {}, parts: {} };
    for (const { values: own, slots } of rows) {
      const missed = fields.filter(
        (name, number) => values.has(name) && !own[number].some((value) => values.get(name).includes(value)),
      );
      if (missed.length > 1) continue;
      let fitting = 0;
      for (let at = 0; at < slots.length; at += 2) {
        const [day, minute, number] = [dayNames[Math.floor(slots[at] / 1440)], slots[at] % 1440, slots[at + 1]];
        const inTime = inPart(minute, from.value, until.value);
        if (inTime && chosenDays.includes(day)) fitting += number;
        if (missed.length) continue;
        if (inTime) counts.days[day] = (counts.days[day] || 0) + number;
        parts.forEach(([, first, last], part) => {
          const key = `${day} ${part}`;
          if (inPart(minute, first, last)) counts.parts[key] = (counts.parts[key] || 0) + number;
        });
      }
      if (!missed.length) counts.all += fitting;
      fields.forEach((name, number) => {
        if (missed.length && missed[0] !== name) return;
        for (const value of own[number]) counts[`${name} ${value}`] = (counts[`${name} ${value}`] || 0) + fitting;
      });
    }
    return counts;
  }

  function showCounts(counts) {
    for (const box of boxes) {
      const number = (box.name === "weekdays" ? counts.days[box.value] : counts[`${box.name} ${box.value}`]) || 0;
      let label = box.labels[0].querySelector(".n");
      if (!label) box.labels[0].append((label = element("span", "", "n")));
      label.textContent = number;
      box.disabled = !number && !box.checked;
    }
    for (const [key, cell] of cells) {
      const number = counts.parts[key] || 0;
      cell.lastChild.textContent = number || "–";
      cell.disabled = !number && cell.getAttribute("aria-pressed") === "false";
    }
  }

  // The table of weekdays and parts of the day: a cell chooses both at once

  const cells = new Map();
  const isPart = ([, first, last]) => from.value === first && until.value === last;

  function choosePart([, first, last]) {
    [from.value, until.value] = [first, last];
  }

  function addButton(row, unseen, text, act) {
    const button = element("button", "", "cell");
    button.type = "button";
    if (unseen) button.append(element("span", unseen, "unseen"));
    button.append(element("span", text));
    button.addEventListener("click", () => {
      act();
      update();
    });
    row.append(button);
    return button;
  }

  const header = element("li", "", "parts");
  header.append(document.createElement("span"));
  const heads = parts.map((part) => addButton(header, "", part[0], () => {
    choosePart(isPart(part) ? ["", "", ""] : part);
  }));
  when.querySelector("ul").prepend(header);
  for (const box of days) {
    const row = box.closest("li");
    parts.forEach((part, number) => {
      const label = `${row.textContent.trim()}, ${part[0]}: `;
      cells.set(`${box.value} ${number}`, addButton(row, label, "•", () => {
        if (isPart(part)) {
          box.checked = !box.checked;
        } else {
          for (const other of days) other.checked = other === box;
          choosePart(part);
        }
      }));
    });
  }
  when.classList.add("grid");

  function showParts() {
    heads.forEach((head, number) => head.setAttribute("aria-pressed", isPart(parts[number])));
    const anyDay = !days.some((box) => box.checked);
    for (const [key, cell] of cells) {
      const [day, number] = key.split(" ");
      const isDay = anyDay || days.some((box) => box.checked && box.value === day);
      const [, first, last] = parts[number];
      const isTime = (from.value || until.value) && inPart(first ? first.slice(0, 2) * 60 : 0, from.value, until.value)
        && inPart((last ? last.slice(0, 2) * 60 : 1440) - 1, from.value, until.value);
      cell.setAttribute("aria-pressed", Boolean(isDay && isTime));
    }
  }

  // The preview

  function timeAndPlace(session) {
    const venue = session.venue || {};
    const zone = { timeZone: venue.timezone || "UTC" };
    const start = new Date(session.start);
    const day = { weekday: "short", day: "numeric", month: "short", ...zone };
    return [
      new Intl.DateTimeFormat(words.locale, day).format(start),
      new Intl.DateTimeFormat(words.locale, { timeStyle: "short", ...zone }).format(start),
      [venue.name, session.room && session.room.name].filter(Boolean).join(", "),
    ].filter(Boolean).join(" · ");
  }

  function countText(number) {
    const form = JSON.parse(words.count);
    const rule = new Intl.PluralRules(document.documentElement.lang).select(number);
    return (form[rule] || form.other).replace("{count}", new Intl.NumberFormat(words.locale).format(number));
  }

  function show(sessions) {
    const list = element("ol", "", "next");
    for (const session of sessions) {
      const item = document.createElement("li");
      item.append(element("span", timeAndPlace(session), "at"), element("bdi", session.title));
      list.append(item);
    }
    preview.replaceChildren(sessions.length ? list : element("p", words.empty));
  }

  async function loadPreview() {
    if (request) request.abort();
    request = new AbortController();
    const { signal } = request;
    try {
      const feed = path(".json");
      const url = `${address.dataset.root}${feed}${feed.includes("?") ? "&" : "?"}limit=${PREVIEWED}`;
      const response = await fetch(url, { signal, credentials: "omit" });
      if (!response.ok) throw new Error(response.status);
      show(await response.json());
      if ((response.headers.get("Cache-Status") || "").includes("trimmed")) {
        preview.append(element("p", words.trimmed, "small"));
      }
    } catch (error) {
      if (error.name !== "AbortError") preview.replaceChildren(element("p", words.failed));
    }
  }

  function update() {
    showParts();
    const counts = facets && count();
    if (facets) showCounts(counts);
    chosen.replaceChildren(element("bdi", names()));
    const [label, number] = glance.querySelectorAll("bdi, bdi + span");
    label.textContent = names();
    if (facets) {
      number.textContent = countText(counts.all);
      chosen.append(element("span", number.textContent, "count"));
    }
    for (const group of form.querySelectorAll("details[data-group]")) {
      const number = group.querySelectorAll("input:checked").length;
      group.querySelector("[data-chosen-here]").textContent = number ? `· ${number}` : "";
    }
    address.value = address.dataset.base + path(".ics");
    // The old preview stays until the new one is loaded, so that the layout does not jump.
    if (!preview.children.length) preview.replaceChildren(element("p", words.counting));
    clearTimeout(timer);
    timer = setTimeout(loadPreview, 200);
  }

  form.addEventListener("change", ({ target }) => {
    // No class starts within an empty range, so the bridge refuses it.
    if (from.value && from.value === until.value) (target === from ? until : from).value = "";
    update();
  });
  form.addEventListener("reset", () => setTimeout(update, 0));
  // When a visitor returns to the page, the browser restores the choices.
  addEventListener("pageshow", update);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const language = form.querySelector("input[name=lang]");
    const page = path("");
    const tail = language ? `${page.includes("?") ? "&" : "?"}lang=${language.value}` : "";
    location.assign(address.dataset.root + page + tail);
  });
})();
