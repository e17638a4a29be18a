// @ts-check
/**
 * The one media connection of a participant: one POST of a complete offer, one answer, no renegotiation. A PATCH
 * restarts ICE when the network is another one.
 *
 *     section 0, 1   own sound and picture, and the first other person's     (sendrecv, receive slot 0)
 *     section 2 … 5  sound and picture of two more                           (recvonly, slots 1 and 2)
 *
 * The offer goes out before there is a camera and before the person agreed: `send` puts the tracks in when they
 * have. The server listens on one lite candidate, so none of ours needs to be gathered, and no STUN server is asked.
 */

import { addCamera, CameraSender } from "./camera_sender.js";
import { keepPaused, NO_ORDERS } from "./encodings.js";
import { fragmentOf, patchAnswer } from "./ice.js";
import { MediaLife } from "./media_life.js";
import { Playback, readPlayed } from "./playback.js";
import { markOf, Pulse } from "./pulse.js";
import { SenderParameters } from "./sender_parameters.js";
import { remember, remembered } from "./token.js";
import { outgoingOf, Uplink, writeVoice } from "./uplink.js";

const SLOTS = 3; // a call of four: three others
const PLAYBACK_EVERY_MS = 2000; // the service reads once a second; a phone's battery prefers half of that
const PULSE_EVERY_MS = 500; // silence is told within three seconds, and lasts 1.5 s before it is one
const PULSE_IN_TROUBLE_MS = 100; // the first sign of life ends the words about a lost connection
const RESTART_TIMEOUT_MS = 3000; // a request on a dead network would hang for a minute

/** Of an offer that takes the call from wherever it is. @type {Readonly<Record<string, string>>} */
const TAKE = Object.freeze({});

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
  #session_key;
  /** The session that this page has or had. @type {string | null} */
  #session;
  /** Whether the person wants the call here, from wherever it is, and has not got it yet. */
  #taking = false;
  #wanted = false;
  #answer = "";
  /** @type {RTCIceServer[]} */
  #relays = [];
  #restarting = new AbortController();
  #pulse = new Pulse();
  /** @type {CameraSender | null} */
  #camera = null;
  /** @type {SenderParameters | null} */
  #voice = null;
  #uplink = new Uplink();
  #orders = NO_ORDERS;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #listening;
  /** @type {Map<string, number>} */
  #waits = new Map();
  /** @type {Tracks} */
  #tracks = { audio: null, video: null };
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #reader;

  /**
   * @param {{
   *   api: import("./api.js").Api, case_id: string, actor_id: string, signal: AbortSignal,
   *   onState: (state: import("./media_life.js").MediaState) => void,
   *   onSlots: (received: Received[]) => void,
   *   onPlayed: (played: import("./playback.js").Played, outgoing_bps: number | null) => void,
   *   onSession: () => void,
   * }} options
   *   onSession: `session` is another one
   *   onSlots: the streams of the receive slots, anew for every connection; there before any media
   *   onPlayed: what was played since it was last called, while connected; and what gets through from here
   */
  constructor({ api, case_id, actor_id, signal, onState, onSlots, onPlayed, onSession }) {
    this.#api = api;
    this.#case_id = case_id;
    this.#on = { onState, onSlots, onPlayed, onSession };
    this.#session_key = `proofcall.media.${case_id}.${actor_id}`;
    this.#session = remembered(this.#session_key);
    const wake = () => document.visibilityState === "visible" && this.#do(this.#life.handleWake(now()));
    const change = () => this.#do(this.#life.handleNetworkChange(now()));
    addEventListener("online", change, { signal });
    watchNetwork(change, signal);
    document.addEventListener("visibilitychange", wake, { signal });
  }

  /** Connects, but takes the call from no other device. */
  start() {
    this.#do(this.#life.handleStart(now()));
  }

  /** The person wants the call here. */
  take() {
    this.#taking = this.#location === null;
    this.start();
  }

  /** Whether the person wants to be in the call; it may be lost to another device. @param {boolean} wanted */
  want(wanted) {
    this.#wanted = wanted;
    if (!wanted) this.#taking = false;
  }

  /** The end of `Location`, while connected or connecting. @type {string | null} */
  get session() {
    return this.#location === null ? null : this.#session;
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

  /** What the server says of this person's connection. @param {import("./protocol.js").Person} me */
  handleServerView({ connection, media_session = null }) {
    this.#do(this.#life.handleServerView(connection, this.#whose(media_session), now()));
  }

  /** @param {string | null} session @returns {import("./media_life.js").Whose} */
  #whose(session) {
    if (session === null) return "nobody";
    return this.#taking || lineOf(session) === lineOf(this.#session) ? "ours" : "other";
  }

  /** @returns {Record<string, string>} */
  #conditions() {
    if (this.#taking) return TAKE;
    if (!this.#wanted) return { "If-None-Match": "*" };
    return this.#session === null ? {} : { "If-Match": `"${this.#session}"` };
  }

  /** What to send from now on; null keeps quiet. @param {Tracks} tracks */
  send(tracks) {
    this.#tracks = tracks;
    const [audio, video] = this.#peer?.getTransceivers() ?? [];
    audio?.sender.replaceTrack(tracks.audio).catch(() => {}); // a closed connection: the next one asks again
    video?.sender
      .replaceTrack(tracks.video)
      .then(() => this.#camera?.refresh()) // another camera has another size
      .catch(() => {});
  }

  /** How the own camera is encoded from now on. @param {import("./encodings.js").Orders} orders */
  encode(orders) {
    this.#orders = orders;
    this.#camera?.order(orders);
  }

  /** How long each receive slot waits for repairs, in milliseconds by mid. @param {Map<string, number>} waits */
  wait(waits) {
    this.#waits = waits;
    for (const { mid, receiver } of this.#peer?.getTransceivers() ?? []) {
      // Browsers that lack the setting find out by themselves, and later.
      if (mid === null || !("jitterBufferTarget" in receiver)) continue;
      const wait_ms = waits.get(mid) || null;
      if (receiver.jitterBufferTarget !== wait_ms) receiver.jitterBufferTarget = wait_ms;
    }
  }

  /** @param {import("./media_life.js").Output[]} outputs */
  #do(outputs) {
    for (const output of outputs) {
      if (output.kind === "open") this.#open();
      else if (output.kind === "restart") this.#restart();
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

  /** @returns {Promise<void>} */
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
      const audio = peer.addTransceiver("audio", { direction });
      const video =
        slot === 0
          ? addCamera(peer, { has_layers: !isApplePhone() })
          : peer.addTransceiver("video", { direction });
      pairs.push([audio, video]);
    }
    for (const [, video] of pairs) preferCodecs(video);
    const own = pairs[0];
    if (own) {
      const [{ sender: audio }, { sender: video }] = own;
      audio.replaceTrack(this.#tracks.audio);
      video.replaceTrack(this.#tracks.video);
      this.#camera = new CameraSender(video);
      this.#voice = new SenderParameters(audio);
      this.#uplink = new Uplink();
    }
    try {
      const offer = await peer.createOffer();
      const conditions = this.#conditions();
      const answered = this.#api.postOffer(this.#case_id, offer.sdp ?? "", conditions);
      answered.catch(() => {}); // awaited below, unless the description is refused first
      await peer.setLocalDescription(offer);
      this.#on.onSlots(
        pairs.map((pair) => ({
          mids: pair.map((transceiver) => transceiver.mid),
          stream: new MediaStream(pair.map((transceiver) => transceiver.receiver.track)),
        })),
      );
      this.wait(this.#waits);
      const { status, answer, location, relays } = await answered;
      if (this.#peer !== peer) {
        if (this.#peer === null && location !== null) this.#api.deleteMedia(location);
        return;
      }
      if (status === 412 && this.#taking && conditions !== TAKE) {
        // The person tapped while we asked politely.
        this.#close();
        return this.#open();
      }
      if (answer === null) return this.#do(this.#life.handleRefused(status, now()));
      this.#location = location;
      this.#session = location?.slice(location.lastIndexOf("/") + 1) ?? null;
      remember(this.#session_key, this.#session);
      this.#taking = false;
      this.#on.onSession();
      this.#answer = answer;
      this.#relays = relays;
      await peer.setRemoteDescription({ type: "answer", sdp: answer });
      if (this.#peer !== peer) return;
      this.#camera?.order(this.#orders);
      this.#do(this.#life.handleAnswered(relays.length > 0, now()));
    } catch {
      if (this.#peer === peer) this.#do(this.#life.handleRefused(0, now()));
      return;
    }
    this.#pulse = new Pulse();
    this.#listen(peer);
    const playback = new Playback();
    clearInterval(this.#reader);
    this.#reader = setInterval(async () => {
      if (peer.connectionState !== "connected") return;
      const report = await peer.getStats();
      if (this.#peer !== peer) return;
      this.#on.onPlayed(playback.handleReading(readPlayed(report.values())), outgoingOf(report.values()));
    }, PLAYBACK_EVERY_MS);
  }

  /** New ways for the same connection: through other networks, and by a relay if there is one. */
  async #restart() {
    const [peer, location] = [this.#peer, this.#location];
    this.#restarting.abort();
    const restarting = new AbortController();
    const { signal } = restarting;
    this.#restarting = restarting;
    if (peer === null || location === null) return;
    const timer = setTimeout(() => restarting.abort(), RESTART_TIMEOUT_MS);
    let status = 0;
    try {
      if (this.#relays.length > 0)
        peer.setConfiguration({ ...peer.getConfiguration(), iceServers: this.#relays });
      peer.restartIce();
      const offer = await peer.createOffer();
      const patched = this.#api.restartMedia(location, fragmentOf(offer.sdp ?? ""), signal);
      patched.catch(() => {}); // awaited below, unless the description is refused first
      await peer.setLocalDescription(offer);
      const { status: answered, fragment, relays } = await patched;
      status = answered;
      if (fragment !== null && !signal.aborted && this.#peer === peer) {
        this.#relays = relays;
        const answer = keepPaused(patchAnswer(this.#answer, fragment), offer.sdp ?? "");
        await peer.setRemoteDescription({ type: "answer", sdp: answer });
        this.#camera?.refresh();
        this.#do(this.#life.handleRestarted(now()));
        return;
      }
    } catch {
      // unreachable, too late, or overtaken by another restart
    } finally {
      clearTimeout(timer);
    }
    if (this.#peer === peer && this.#restarting === restarting) {
      this.#do(this.#life.handleRestartRefused(status, now()));
    }
  }

  /** Reads again and again whether anything still comes. @param {RTCPeerConnection} peer */
  #listen(peer) {
    clearTimeout(this.#listening);
    const wait_ms = this.#life.inTrouble ? PULSE_IN_TROUBLE_MS : PULSE_EVERY_MS;
    this.#listening = setTimeout(async () => {
      const report = await peer.getStats().catch(() => null);
      if (this.#peer !== peer || report === null) return;
      const pulse = this.#pulse.handleReading(markOf(report.values()), now());
      if (pulse === "heard") this.#do(this.#life.handleHeard());
      else if (pulse === "silent") this.#do(this.#life.handleSilence(now()));
      this.#handleOutgoing(outgoingOf(report.values()));
      this.#listen(peer);
    }, wait_ms);
  }

  /** @param {number | null} outgoing_bps */
  #handleOutgoing(outgoing_bps) {
    this.#camera?.handleUplink(outgoing_bps);
    if (!this.#uplink.handleReading(outgoing_bps)) return;
    const { starved } = this.#uplink;
    this.#voice?.set((parameters) => writeVoice(parameters, starved));
  }

  #close() {
    this.#camera = null;
    this.#voice = null;
    clearInterval(this.#reader);
    clearTimeout(this.#listening);
    this.#restarting.abort();
    this.#peer?.close();
    this.#peer = null;
    this.#location = null;
  }
}

/** What sessions have in common that carry each other on. @param {string | null} session */
function lineOf(session) {
  return session?.split("-")[0] ?? null;
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

/**
 * Calls when the phone goes over to another kind of network, where the browser tells (Chromium on Android): other
 * networks of the same kind, and all other browsers, are noticed by the silence.
 * @param {() => void} change
 * @param {AbortSignal} signal
 */
function watchNetwork(change, signal) {
  /** @type {(EventTarget & {type?: string}) | undefined} */
  const connection = Reflect.get(navigator, "connection");
  let type = connection?.type;
  connection?.addEventListener(
    "change",
    () => {
      // "change" comes with every new estimate of the rate, too.
      if (connection.type !== type) change();
      type = connection.type;
    },
    { signal },
  );
}

function now() {
  return performance.now() / 1000;
}
