// @ts-check
/**
 * Put into a page that walks from network to network. All times are milliseconds.
 *
 *     roam.comesBack()   until new sound and pictures come in, from now
 *     roam.saysSo()      until the page's own words tell of a lost connection, from now
 *     roam.comesUp()     from the first connection's making to its first decoded picture
 *     roam.comesOver(p)  until the browser says that the media come over "udp" or "tcp", from now
 *     roam.udpPort       set before the page's scripts: where the server's UDP candidates lead instead
 */
(() => {
  const PATIENCE_MS = 10_000;
  const POLL_MS = 20;
  const ENOUGH_PACKETS = 5; // of each kind: not a straggler
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
    /** @type {number | null} */
    udpPort: null,
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
    /** @param {string} wanted */
    comesOver: async (wanted) => until(async () => (await protocol()) === wanted, performance.now()),
    comesUp: async () => {
      await until(() => connections.length > 0, performance.now());
      return until(async () => (await received()).frames > 0, made_at);
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
      const sdp = description?.sdp?.replace(/( udp \d+ \S+) \d+ typ/g, `$1 ${roam.udpPort} typ`);
      // @ts-expect-error the two forms of old browsers are not passed on
      return super.setRemoteDescription(roam.udpPort ? { ...description, sdp } : description);
    }
  };
  Object.assign(window, { roam });
})();
