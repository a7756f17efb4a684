"use strict";
// Runs in the parent page: adjusts the height of this bridge's frames to their content.

(() => {
  const origin = new URL(document.currentScript.src).origin;
  const maxHeight = 20000;

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
    if (!(height > 0 && height < maxHeight)) return;
    const frame = frames().find((candidate) => candidate.contentWindow === event.source);
    if (frame) frame.style.height = `${Math.max(120, Math.ceil(height))}px`;
  });

  // Any target origin: the message contains no data, and a lazy frame is still about:blank.
  const requestHeights = () => frames().forEach(
    (frame) => frame.contentWindow.postMessage("timetable?", "*"),
  );
  requestHeights();
  document.addEventListener("DOMContentLoaded", requestHeights);
})();
