// @ts-check
/**
 * Put into every measured page before its own scripts: notes the tap and the first decoded remote picture.
 *
 * Each remote video track gets a reader of its own, which sees a picture when the decoder gives it out, whether
 * or not the page shows it yet. `bench.connected()` resolves when a connection is up, `bench.delay()` with the
 * milliseconds between tap and picture.
 */
(() => {
  let tapped_at = NaN;
  /** @type {(delay_ms: number) => void} */
  let onFirst;
  /** @type {() => void} */
  let onConnected;
  /** @type {Promise<number>} */
  const first = new Promise((resolve) => {
    onFirst = resolve;
  });
  /** @type {Promise<void>} */
  const connected = new Promise((resolve) => {
    onConnected = resolve;
  });
  const bench = {
    tap: () => {
      tapped_at = performance.now();
    },
    connected: () => connected,
    delay: () => first,
  };

  /** @param {MediaStreamTrack} track */
  async function watch(track) {
    if (track.kind !== "video") return;
    const reader = new MediaStreamTrackProcessor({ track, maxBufferSize: 1 }).readable.getReader();
    const { value } = await reader.read();
    onFirst(performance.now() - tapped_at); // NaN, and refused, if it came before the tap
    value?.close();
    await reader.cancel();
  }

  const Native = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Native {
    /** @param {RTCConfiguration} [configuration] */
    constructor(configuration) {
      super(configuration);
      this.addEventListener("track", ({ track }) => watch(track));
      this.addEventListener("connectionstatechange", () => {
        if (this.connectionState === "connected") onConnected();
      });
    }
  };
  Object.assign(window, { bench });
})();
