"use strict";
// For the page around: fits the frames of this bridge's timetables to their content.

(() => {
  const origin = new URL(document.currentScript.src).origin;
  const most = 20000;

  const frames = () => [...document.querySelectorAll("iframe")].filter((frame) => {
    try {
      return new URL(frame.src).origin === origin;
    } catch {
      return false;
    }
  });

  window.addEventListener("message", (event) => {
    const height = event.origin === origin && event.data && event.data.timetable
      && Number(event.data.timetable.height);
    if (!(height > 0 && height < most)) return;
    const frame = frames().find((one) => one.contentWindow === event.source);
    if (frame) frame.style.height = `${Math.max(120, Math.ceil(height))}px`;
  });

  // To any origin: it holds nothing, and a lazy frame is still an empty page.
  const ask = () => frames().forEach((one) => one.contentWindow.postMessage("timetable?", "*"));
  ask();
  document.addEventListener("DOMContentLoaded", ask);
})();
