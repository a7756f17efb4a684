"use strict";
// Inside a frame: tells the page around it how tall the timetable is. embed.js listens there.

(() => {
  if (window.parent === window) return;
  const bar = document.querySelector(".bar");
  const inside = document.querySelector(".inside");
  let told = 0;
  const tell = () => {
    const height = Math.ceil(bar.offsetHeight + inside.getBoundingClientRect().height) + 2;
    if (height === told) return;
    told = height;
    window.parent.postMessage({ timetable: { height } }, "*");
  };
  new ResizeObserver(tell).observe(inside);
  new ResizeObserver(tell).observe(bar);
  // The listener may have come later than this page.
  window.addEventListener("message", (event) => {
    if (event.source === window.parent && event.data === "timetable?") {
      told = 0;
      tell();
    }
  });
})();
