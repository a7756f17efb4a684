"use strict";
// Runs inside a frame: sends the height of the timetable to embed.js in the parent page.
// Outside of a frame the timetable gets a background of its own.

(() => {
  if (window.parent === window) {
    document.documentElement.classList.add("alone");
    return;
  }
  const parts = [...document.querySelectorAll(".bar, .inside, .error")];
  let sentHeight = 0;
  const sendHeight = () => {
    const heights = parts.map((part) => part.getBoundingClientRect().height);
    const height = Math.ceil(heights.reduce((sum, one) => sum + one, 0)) + 2;
    if (height === sentHeight) return;
    sentHeight = height;
    window.parent.postMessage({ timetable: { height } }, "*");
  };
  const observer = new ResizeObserver(sendHeight);
  parts.forEach((part) => observer.observe(part));
  // Browsers do not run observers of frames that are out of sight.
  sendHeight();
  // embed.js requests the height when it has loaded, which may be after this page.
  window.addEventListener("message", (event) => {
    if (event.source === window.parent && event.data === "timetable?") {
      sentHeight = 0;
      sendHeight();
    }
  });
})();
