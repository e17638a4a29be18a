// @ts-check
/**
 * What the own uplink carries, as the browser believes (RTCPeerConnection.getStats()), and what that means for
 * picture and voice: pure. Sound is sent twice (RED), so that the loss of a packet is not heard; where hardly anything gets
 * through it is sent leaner. (Chromium goes on with RED even where Opus is chosen for the encoding.)
 */

const STARVED_BPS = 120_000; // below it sound sent twice would leave nothing for a picture
const FED_BPS = 180_000; // and only well above it, it is sent twice again
const STARVED_READINGS = 2; // one reading may be a slip
const FED_READINGS = 10; // longer than a phone stays in a lift's door

/**
 * Bits a second in all; null where the browser does not say.
 * @param {Iterable<any>} report what getStats() gives
 * @returns {number | null}
 */
export function outgoingOf(report) {
  for (const item of report) {
    if (item.type !== "candidate-pair" || !item.nominated) continue;
    if (item.availableOutgoingBitrate > 0) return Math.round(item.availableOutgoingBitrate);
  }
  return null;
}

/** Whether the uplink starves, from readings in even steps. */
export class Uplink {
  #starved = false;
  /** Readings in a row that say otherwise. */
  #against = 0;

  get starved() {
    return this.#starved;
  }

  /** @param {number | null} outgoing_bps @returns {boolean} whether it is another than before */
  handleReading(outgoing_bps) {
    if (outgoing_bps === null) return false; // a browser that does not say it now says nothing new
    const otherwise = this.#starved ? outgoing_bps > FED_BPS : outgoing_bps < STARVED_BPS;
    this.#against = otherwise ? this.#against + 1 : 0;
    if (this.#against < (this.#starved ? FED_READINGS : STARVED_READINGS)) return false;
    this.#starved = !this.#starved;
    this.#against = 0;
    return true;
  }
}

const FALL = 0.9; // of what was believed: what is planned with it has more to spare
const RISE = 1.2; // more than a browser's estimate gives and takes by itself
const RISE_READINGS = 4; // two seconds: a call begins low and rises fast; each change of size is a keyframe of every encoding

/**
 * What the uplink has carried for a while: a fall counts at once, a rise once it has lasted, and neither if it is small.
 * From readings in even steps.
 */
export class SteadyUplink {
  /** @type {number | null} */
  #bps = null;
  /** @type {number[]} */
  #readings = [];

  /** Null: the browser has not said. */
  get bps() {
    return this.#bps;
  }

  /** @param {number | null} outgoing_bps @returns {boolean} whether it is another than before */
  handleReading(outgoing_bps) {
    if (outgoing_bps === null) return false;
    this.#readings = [...this.#readings, outgoing_bps].slice(-RISE_READINGS);
    const least_bps = Math.min(...this.#readings);
    if (this.#bps !== null && least_bps > FALL * this.#bps && least_bps < RISE * this.#bps) return false;
    this.#bps = least_bps;
    return true;
  }
}

const UNDONE_READINGS = 2; // a second: the browser has let go of what it had made of the picture
const MUTE_READINGS = 6; // of a connection that comes up; a browser that says nothing for longer never will

/**
 * Whether the browser is kept from making the picture smaller by itself. It begins with a quarter of it, as it knows
 * nothing of the network, and takes twenty seconds to make it whole; to be kept from it for a moment undoes that. So
 * it is until the uplink is known, and again once that has come to carry the whole picture. From readings in even steps.
 */
export class WholePicture {
  kept = true;
  /** Readings in a row that say that it is carried. */
  #carried = 0;
  #mute = 0;

  /**
   * @param {boolean | null} carried whether the uplink carries it; null: that is not known yet
   * @returns {boolean} whether `kept` is another than before
   */
  handleReading(carried) {
    const before = this.kept;
    this.#mute += carried === null ? 1 : 0;
    this.#carried = carried ? this.#carried + 1 : 0;
    if (carried !== null) this.kept = carried && this.#carried <= UNDONE_READINGS;
    else if (this.#mute > MUTE_READINGS) this.kept = false;
    return this.kept !== before;
  }
}

const LEAN_BPS = 16_000; // Opus: a voice that is understood, also where it is sent twice

/**
 * The parameters of the voice's sender.
 * @param {any} parameters of RTCRtpSender
 * @param {boolean} starved
 */
export function writeVoice(parameters, starved) {
  const [one] = parameters.encodings;
  if (starved) one.maxBitrate = LEAN_BPS;
  else delete one.maxBitrate;
}
