// @ts-check
/**
 * The one media connection of a participant: one POST of a complete offer, one answer, no renegotiation.
 *
 *     section 0, 1   own sound and picture, and the first other person's     (sendrecv, receive slot 0)
 *     section 2 … 5  sound and picture of two more                           (recvonly, slots 1 and 2)
 *
 * The offer goes out before there is a camera and before the person agreed: `send` puts the tracks in when they
 * have. The server listens on one lite candidate, so none of ours needs to be gathered, and no STUN server is asked.
 */

import { MediaLife } from "./media_life.js";
import { Playback, readPlayed } from "./playback.js";

const SLOTS = 3; // a call of four: three others
const PLAYBACK_EVERY_MS = 2000; // the service reads once a second; a phone's battery prefers half of that

/** @typedef {import("./camera.js").Tracks} Tracks */
/** @typedef {{mids: (string | null)[], stream: MediaStream}} Received one receive slot */

export class MediaLink {
  #api;
  #case_id;
  #on;
  #life = new MediaLife({ random: Math.random });
  /** @type {RTCPeerConnection | null} */
  #peer = null;
  /** @type {string | null} */
  #location = null;
  /** @type {Tracks} */
  #tracks = { audio: null, video: null };
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #reader;

  /**
   * @param {{
   *   api: import("./api.js").Api, case_id: string, signal: AbortSignal,
   *   onState: (state: import("./media_life.js").MediaState) => void,
   *   onSlots: (received: Received[]) => void,
   *   onPlayed: (played: import("./playback.js").Played) => void,
   * }} options
   *   onSlots: the streams of the receive slots, anew for every connection; there before any media
   *   onPlayed: what was played since it was last called, while connected
   */
  constructor({ api, case_id, signal, onState, onSlots, onPlayed }) {
    this.#api = api;
    this.#case_id = case_id;
    this.#on = { onState, onSlots, onPlayed };
    const wake = () => document.visibilityState === "visible" && this.#do(this.#life.handleWake(now()));
    addEventListener("online", wake, { signal });
    document.addEventListener("visibilitychange", wake, { signal });
  }

  start() {
    this.#do(this.#life.handleStart(now()));
  }

  /** Leaves: the server is told. A mere reconnect tells nothing, the new offer replaces the old one. */
  async leave() {
    const [peer, location] = [this.#peer, this.#location];
    this.#peer = null;
    this.stop();
    // Closing says goodbye over UDP, too; the DELETE goes first, for it is the one that is answered.
    if (location !== null) await this.#api.deleteMedia(location);
    peer?.close();
  }

  /** Stops without a word: the server ended it, or gave it to another screen of the same person. */
  stop() {
    this.#do(this.#life.handleStop());
  }

  /** @param {import("./protocol.js").MediaConnection} connection what the server says of ours */
  handleServerView(connection) {
    this.#do(this.#life.handleServerView(connection, now()));
  }

  /** What to send from now on; null keeps quiet. @param {Tracks} tracks */
  send(tracks) {
    this.#tracks = tracks;
    const [audio, video] = this.#peer?.getTransceivers() ?? [];
    audio?.sender.replaceTrack(tracks.audio).catch(() => {}); // a closed connection: the next one asks again
    video?.sender.replaceTrack(tracks.video).catch(() => {});
  }

  /** @param {import("./media_life.js").Output[]} outputs */
  #do(outputs) {
    for (const output of outputs) {
      if (output.kind === "open") this.#open();
      else if (output.kind === "close") this.#close();
      else this.#on.onState(output.state);
    }
    clearTimeout(this.#timer);
    const wait_s = this.#life.nextDeadline - now();
    if (wait_s < Infinity) {
      this.#timer = setTimeout(
        () => this.#do(this.#life.handleTimeout(now())),
        Math.max(0, wait_s) * 1000 + 5,
      );
    }
  }

  async #open() {
    const peer = new RTCPeerConnection({ bundlePolicy: "max-bundle", iceServers: [] });
    this.#peer = peer;
    peer.addEventListener("connectionstatechange", () => {
      if (this.#peer === peer) this.#do(this.#life.handleConnectionState(peer.connectionState, now()));
    });
    /** @type {[RTCRtpTransceiver, RTCRtpTransceiver][]} */
    const pairs = [];
    for (let slot = 0; slot < SLOTS; slot += 1) {
      const direction = slot === 0 ? "sendrecv" : "recvonly";
      pairs.push([peer.addTransceiver("audio", { direction }), peer.addTransceiver("video", { direction })]);
    }
    for (const [, video] of pairs) preferCodecs(video);
    const own = pairs[0];
    if (own) {
      own[0].sender.replaceTrack(this.#tracks.audio);
      own[1].sender.replaceTrack(this.#tracks.video);
    }
    try {
      const offer = await peer.createOffer();
      await peer.setLocalDescription(offer);
      this.#on.onSlots(
        pairs.map((pair) => ({
          mids: pair.map((transceiver) => transceiver.mid),
          stream: new MediaStream(pair.map((transceiver) => transceiver.receiver.track)),
        })),
      );
      const { status, answer, location } = await this.#api.postOffer(this.#case_id, offer.sdp ?? "");
      if (this.#peer !== peer) {
        if (this.#peer === null && location !== null) this.#api.deleteMedia(location);
        return;
      }
      if (answer === null) return this.#do(this.#life.handleRefused(status, now()));
      this.#location = location;
      await peer.setRemoteDescription({ type: "answer", sdp: answer });
    } catch {
      if (this.#peer === peer) this.#do(this.#life.handleRefused(0, now()));
      return;
    }
    const playback = new Playback();
    clearInterval(this.#reader);
    this.#reader = setInterval(async () => {
      if (peer.connectionState !== "connected") return;
      const report = await peer.getStats();
      if (this.#peer === peer) this.#on.onPlayed(playback.handleReading(readPlayed(report.values())));
    }, PLAYBACK_EVERY_MS);
  }

  #close() {
    clearInterval(this.#reader);
    this.#peer?.close();
    this.#peer = null;
    this.#location = null;
  }
}

/**
 * VP8 and H.264 alone; H.264 first where it is the codec that saves the battery.
 * @param {RTCRtpTransceiver} transceiver
 */
function preferCodecs(transceiver) {
  const codecs = RTCRtpReceiver.getCapabilities("video")?.codecs ?? [];
  if (typeof transceiver.setCodecPreferences !== "function") return;
  const order = isApplePhone() ? ["video/h264", "video/vp8"] : ["video/vp8", "video/h264"];
  const preferred = order.flatMap((type) => codecs.filter((codec) => codec.mimeType.toLowerCase() === type));
  const repair = codecs.filter((codec) => codec.mimeType.toLowerCase() === "video/rtx");
  if (preferred.length > 0) transceiver.setCodecPreferences([...preferred, ...repair]);
}

function isApplePhone() {
  const { userAgent, maxTouchPoints } = navigator;
  return /iPhone|iPad|iPod/.test(userAgent) || (/Macintosh/.test(userAgent) && maxTouchPoints > 1);
}

function now() {
  return performance.now() / 1000;
}
