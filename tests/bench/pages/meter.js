// @ts-check
/**
 * Put into every page whose call is watched: the time and height of each decoded remote picture, and the
 * counters of all its connections, those that a reconnect has closed included.
 *
 * `bench.tap()` notes the tap; `bench.reading()` gives everything so far. Times are seconds of the page's clock.
 */
(() => {
  const READ_EVERY_MS = 500; // a connection that closes keeps the numbers of its last reading
  let tapped_at = Number.NaN;
  /** @type {[number, number][]} time, height */
  const frames = [];
  /** @type {RTCPeerConnection[]} */
  const connections = [];
  /** @type {Map<string, any>} the newest report of each stream of each connection */
  const streams = new Map();
  const now = () => performance.now() / 1000;

  /** @param {MediaStreamTrack} track */
  async function watch(track) {
    if (track.kind !== "video") return;
    // @ts-expect-error Chromium's own
    const reader = new MediaStreamTrackProcessor({ track, maxBufferSize: 5 }).readable.getReader();
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      frames.push([now(), value.displayHeight]);
      value.close();
    }
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
