// @ts-check
/**
 * Put into every page whose call is watched: the time and height of each decoded remote picture, and the
 * counters of all its connections, those that a reconnect has closed included.
 *
 * `bench.tap()` notes the tap; `bench.first(wait_ms)` resolves when the first picture is there, or when that time
 * is up; `bench.reading()` gives everything so far. Times are seconds of the page's clock.
 */
(() => {
  const READ_EVERY_MS = 500; // a connection that closes keeps the numbers of its last reading
  let tapped_at = Number.NaN;
  /** @type {() => void} */
  let onFirst;
  /** @type {Promise<void>} */
  const first = new Promise((resolve) => {
    onFirst = resolve;
  });
  /** @type {[number, number][]} time, height */
  const frames = [];
  /** @type {RTCPeerConnection[]} */
  const connections = [];
  /** @type {Map<string, any>} the newest report of each stream of each connection */
  const streams = new Map();
  const now = () => performance.now() / 1000;

  // Frames are read in a worker: a page that is busy for a moment would see a freeze where there is none.
  const reads = `onmessage = async ({ data }) => {
    const reader = data.getReader();
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      postMessage([performance.timeOrigin + performance.now(), value.displayHeight]);
      value.close();
    }
  };`;
  const code = URL.createObjectURL(new Blob([reads], { type: "text/javascript" }));

  /** @param {MediaStreamTrack} track */
  function watch(track) {
    if (track.kind !== "video") return;
    // @ts-expect-error Chromium's own
    const { readable } = new MediaStreamTrackProcessor({ track, maxBufferSize: 5 });
    const worker = new Worker(code);
    worker.addEventListener("message", ({ data: [time_ms, height] }) => {
      onFirst();
      frames.push([(time_ms - performance.timeOrigin) / 1000, height]);
    });
    worker.postMessage(readable, [readable]);
  }

  async function read() {
    for (const [index, connection] of connections.entries()) {
      if (connection.connectionState === "closed") continue;
      const report = await connection.getStats();
      for (const each of report.values()) {
        if (each.type !== "inbound-rtp" && each.type !== "outbound-rtp") continue;
        streams.set(`${index} ${each.id}`, { ...each, codec: report.get(each.codecId)?.mimeType });
      }
    }
  }
  setInterval(read, READ_EVERY_MS);

  const bench = {
    tap: () => {
      tapped_at = now();
    },
    first: (/** @type {number} */ wait_ms) =>
      Promise.race([first, new Promise((resolve) => setTimeout(resolve, wait_ms))]),
    reading: async () => {
      await read();
      return { now: now(), tapped_at, frames, streams: [...streams.values()] };
    },
  };

  const Native = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Native {
    /** @param {RTCConfiguration} [configuration] */
    constructor(configuration) {
      super(configuration);
      connections.push(this);
      this.addEventListener("track", ({ track }) => watch(track));
    }
  };
  Object.assign(window, { bench });
})();
