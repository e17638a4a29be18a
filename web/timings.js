// @ts-check
/** Two moments that the benchmark reads: the tap, and the first picture of somebody else on the screen. */

/** @type {{tap?: number, first_remote_frame?: number}} */
const timings = {};
Object.assign(window, { proofcallTimings: timings });

export function markTap() {
  timings.tap = performance.now();
  delete timings.first_remote_frame;
  performance.mark("tap");
}

/** @param {HTMLVideoElement} video */
export function markFirstFrame(video) {
  const mark = () => {
    if (timings.tap === undefined || timings.first_remote_frame !== undefined) return;
    timings.first_remote_frame = performance.now();
    performance.mark("first-remote-frame");
  };
  if (typeof video.requestVideoFrameCallback === "function") video.requestVideoFrameCallback(mark);
  else video.addEventListener("loadeddata", mark, { once: true });
}
