// @ts-check
/**
 * Put into a page that walks from network to network. All times are milliseconds.
 *
 *     roam.comesBack()   until new sound and pictures come in, from now
 *     roam.saysSo()      until the page's own words tell of a lost connection, from now
 *     roam.comesUp()     from the first connection's making to its first decoded picture, and how it came
 *     roam.blocksUdp     set before the page's scripts: no UDP candidate of the server leads anywhere
 */
(() => {
  const PATIENCE_MS = 10_000;
  const POLL_MS = 20;
  const ENOUGH_PACKETS = 5; // of each kind: not a straggler
  const DISCARD_PORT = 9; // nobody listens there
  /** @type {RTCPeerConnection[]} */
  const connections = [];
  let made_at = Number.NaN;
  const sleep = () => new Promise((resolve) => setTimeout(resolve, POLL_MS));

  /** @param {() => Promise<boolean> | boolean} condition @param {number} from */
  async function until(condition, from) {
    while (!(await condition())) {
      if (performance.now() - from > PATIENCE_MS) return Number.NaN;
      await sleep();
    }
    return performance.now() - from;
  }

  async function received() {
    const counts = { audio: 0, video: 0, frames: 0 };
    for (const report of (await connections.at(-1)?.getStats())?.values() ?? []) {
      if (report.type !== "inbound-rtp") continue;
      if (report.kind === "audio") counts.audio += report.packetsReceived;
      else counts.video += report.packetsReceived;
      counts.frames += report.framesDecoded ?? 0;
    }
    return counts;
  }

  async function protocol() {
    const stats = await connections.at(-1)?.getStats();
    const transport = [...(stats?.values() ?? [])].find((report) => report.type === "transport");
    return stats?.get(stats.get(transport?.selectedCandidatePairId)?.remoteCandidateId)?.protocol;
  }

  const roam = {
    blocksUdp: false,
    connections,
    comesBack: async () => {
      const from = performance.now();
      const before = await received();
      return until(async () => {
        const now = await received();
        return now.audio > before.audio + ENOUGH_PACKETS && now.video > before.video + ENOUGH_PACKETS;
      }, from);
    },
    saysSo: async () => {
      const words = document.querySelector("[data-testid=connection-state]");
      const well = () => ["good", "connected"].includes(words?.getAttribute("data-state") ?? "");
      return until(() => !well(), performance.now());
    },
    comesUp: async () => {
      await until(() => connections.length > 0, performance.now());
      const took_ms = await until(async () => (await received()).frames > 0, made_at);
      return { took_ms, protocol: await protocol() };
    },
  };

  const Native = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Native {
    /** @param {RTCConfiguration} [configuration] */
    constructor(configuration) {
      super(configuration);
      if (connections.length === 0) made_at = performance.now();
      connections.push(this);
    }

    /** @param {RTCSessionDescriptionInit} [description] */
    async setRemoteDescription(description) {
      const sdp = description?.sdp?.replace(/( udp \d+ \S+) \d+ typ/g, `$1 ${DISCARD_PORT} typ`);
      // @ts-expect-error the two forms of old browsers are not passed on
      return super.setRemoteDescription(roam.blocksUdp ? { ...description, sdp } : description);
    }
  };
  Object.assign(window, { roam });
})();
