// @ts-check
/**
 * The own camera in the connection: offered in as many encodings as the browser can send, and set as is asked.
 *
 * Only the best one is sent from the start; the others cost nothing until somebody's network needs them. They come
 * in three where their sizes can be given as such (`scaleResolutionDownTo`). Where they can only be given as parts of
 * the camera's, libwebrtc leaves out all but the first two of a picture smaller than 960 × 540: there are two.
 */

import { ANY_SIZE, carriesWhole, NO_ORDERS, plan, RIDS } from "./encodings.js";
import { SenderParameters } from "./sender_parameters.js";
import { SteadyUplink, WholePicture } from "./uplink.js";

const TEMPORAL_LAYERS = "L1T3"; // a picture of three can be left out, then another: at once, and without a new keyframe
const LARGEST = 4096; // pixels a side: no camera's picture is cut down to that

/** @typedef {import("./encodings.js").Encoding} Encoding */
/** @typedef {import("./encodings.js").Size} Size */

export class CameraSender {
  #sender;
  #parameters;
  #orders = NO_ORDERS;
  #uplink = new SteadyUplink();
  #whole = new WholePicture();
  #begun = false;
  /** And what it was for. @type {{encodings: readonly Encoding[], size: Size, sharp: boolean}} */
  #present = { encodings: [], size: ANY_SIZE, sharp: false };

  /** @param {RTCRtpSender} sender */
  constructor(sender) {
    this.#sender = sender;
    this.#parameters = new SenderParameters(sender);
  }

  /** What the service asks for. @param {import("./encodings.js").Orders} orders */
  order(orders) {
    this.#orders = orders;
    return this.refresh();
  }

  /** What gets through from here, as the browser believes; null: it does not say. @param {number | null} uplink_bps */
  handleUplink(uplink_bps) {
    if (uplink_bps !== null && !this.#begun) {
      this.#begun = true;
      if (!carriesWhole(uplink_bps, this.#size())) return; // with what a browser begins, before it has tried the network
    }
    const changed = this.#uplink.handleReading(uplink_bps);
    const { bps } = this.#uplink;
    const carried = bps === null ? null : carriesWhole(bps, this.#size());
    if (this.#whole.handleReading(carried) || changed) this.refresh();
  }

  /** Of the camera. */
  #size() {
    const { width, height } = this.#sender.track?.getSettings() ?? {};
    return width && height ? { width, height } : ANY_SIZE;
  }

  /** Once more: after another track, or another description. */
  refresh() {
    const size = this.#size();
    const orders = this.#orders;
    const uplink_bps = this.#uplink.bps;
    return this.#parameters.set((parameters, bold) => {
      const rids = parameters.encodings.map((/** @type {{rid?: string}} */ { rid }) => rid ?? "");
      const { encodings: present, size: before, sharp: was_sharp } = this.#present;
      const goes_on =
        size.width === before.width && size.height === before.height && orders.sharp === was_sharp;
      const encodings = plan(orders, rids, size, uplink_bps, goes_on ? present : []);
      write(parameters, encodings, size);
      // A browser that makes the picture smaller by itself takes long to make it large again.
      const ours = this.#whole.kept || encodings.every((encoding) => encoding.ours || !encoding.active);
      if (ours && bold) parameters.degradationPreference = "maintain-framerate-and-resolution";
      else delete parameters.degradationPreference;
      this.#present = { encodings, size, sharp: orders.sharp };
    });
  }
}

/**
 * @param {any} parameters of RTCRtpSender
 * @param {readonly Encoding[]} encodings
 * @param {Size} size of the camera
 */
function write(parameters, encodings, size) {
  // The best alone is begun as a part of the camera's: given its size, Chromium 150 never encodes a picture.
  const sized = encodings.length === RIDS.length && encodings.slice(0, -1).some(({ active }) => active);
  for (const [place, encoding] of encodings.entries()) {
    const one = parameters.encodings[place];
    one.active = encoding.active;
    one.maxBitrate = encoding.bitrate_bps;
    one.maxFramerate = encoding.frame_rate; // of each: one alone would slow down all
    // What stays keeps its place, or nothing would seem to be as it was.
    delete one[sized ? "scaleResolutionDownBy" : "scaleResolutionDownTo"];
    if (sized) one.scaleResolutionDownTo = scaled(size, encoding.scale);
    else one.scaleResolutionDownBy = encoding.scale;
  }
}

/** @param {Size} size @param {number} scale */
function scaled({ width, height }, scale) {
  return scale === 1
    ? { maxWidth: LARGEST, maxHeight: LARGEST } // a camera that is turned has other sides
    : { maxWidth: Math.round(width / scale), maxHeight: Math.round(height / scale) };
}

/**
 * Adds the section of the own camera, for sending and receiving.
 * @param {RTCPeerConnection} peer
 * @param {{has_layers: boolean}} codec whether that of the pictures has temporal layers that the service knows
 */
export function addCamera(peer, { has_layers }) {
  const rids = takesSizes(peer) ? RIDS : [RIDS[0], RIDS[2]];
  for (const layers of has_layers ? [true, false] : [false]) {
    try {
      const sendEncodings = rids.map((rid) => offered(rid, layers));
      return peer.addTransceiver("video", { direction: "sendrecv", sendEncodings });
    } catch {
      // not this way: with less, or without encodings of its own
    }
  }
  return peer.addTransceiver("video", { direction: "sendrecv" });
}

/** @param {string} rid @param {boolean} layers @returns {any} RTCRtpEncodingParameters */
function offered(rid, layers) {
  return {
    rid,
    active: rid === RIDS[2],
    ...(layers && { scalabilityMode: TEMPORAL_LAYERS }),
    scaleResolutionDownBy: 1,
  };
}

/**
 * Whether the browser lets sizes be said as such: of what it is given it reads only what it knows. There is no medium of
 * this name, so that nothing is added.
 * @param {RTCPeerConnection} peer
 */
function takesSizes(peer) {
  let known = false;
  /** @type {any} */
  const encoding = {
    get scaleResolutionDownTo() {
      known = true;
      return undefined;
    },
  };
  try {
    peer.addTransceiver("none", { sendEncodings: [encoding] });
  } catch {
    // as it should be
  }
  return known;
}
