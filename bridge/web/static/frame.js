"use strict";
// Runs inside a frame: sends the height of the timetable to embed.js in the parent page.

(() => {
  if (window.parent === window) return;
  const bar = document.querySelector(".bar");
  const inside = document.querySelector(".inside");
  let sentHeight = 0;
  const sendHeight = () => {
    const height = Math.ceil(bar.offsetHeight + inside.getBoundingClientRect().height) + 2;
    if (height === sentHeight) return;
    sentHeight = height;
    window.parent.postMessage({ timetable: { height } }, "*");
  };
  new ResizeObserver(sendHeight).observe(inside);
  new ResizeObserver(sendHeight).observe(bar);
  // embed.js requests the height when it has loaded, which may be after this page.
  window.addEventListener("message", (event) => {
    if (event.source === window.parent && event.data === "timetable?") {
      sentHeight = 0;
      sendHeight();
    }
  });
})();
