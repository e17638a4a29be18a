// @ts-check
/**
 * How the network is, in a word, from two readings of RTCPeerConnection.getStats(): pure.
 * It falls at once and rises after two good readings, so that the word does not flicker.
 */

/** @typedef {"good" | "fair" | "weak"} Quality */

/**
 * Counters since the start of the connection; the round trip as last measured.
 * @typedef {{received: number, lost: number, their_loss: number, round_trip_s: number}} Reading
 */

const WEAK_LOSS = 0.1; // repair by retransmission begins to be heard
const FAIR_LOSS = 0.03;
const WEAK_ROUND_TRIP_S = 0.6; // people begin to talk over each other
const FAIR_ROUND_TRIP_S = 0.3;

/**
 * @param {Iterable<any>} report what getStats() gives
 * @returns {Reading}
 */
export function readStatistics(report) {
  const reading = { received: 0, lost: 0, their_loss: 0, round_trip_s: 0 };
  for (const item of report) {
    if (item.type === "inbound-rtp") {
      reading.received += item.packetsReceived ?? 0;
      reading.lost += Math.max(0, item.packetsLost ?? 0);
    } else if (item.type === "remote-inbound-rtp") {
      reading.their_loss = Math.max(reading.their_loss, item.fractionLost ?? 0);
    } else if (item.type === "candidate-pair" && item.nominated) {
      reading.round_trip_s = Math.max(reading.round_trip_s, item.currentRoundTripTime ?? 0);
    }
  }
  return reading;
}

/**
 * @param {Reading | null} before
 * @param {Reading} now
 * @returns {Quality}
 */
export function qualityOf(before, now) {
  const received = now.received - (before?.received ?? 0);
  const lost = Math.max(0, now.lost - (before?.lost ?? 0));
  const loss = Math.max(received + lost > 0 ? lost / (received + lost) : 0, now.their_loss);
  if (loss >= WEAK_LOSS || now.round_trip_s >= WEAK_ROUND_TRIP_S) return "weak";
  if (loss >= FAIR_LOSS || now.round_trip_s >= FAIR_ROUND_TRIP_S) return "fair";
  return "good";
}

export class SteadyQuality {
  /** @type {Reading | null} */
  #before = null;
  /** @type {Quality} */
  #shown = "good";
  /** @type {Quality | null} */
  #candidate = null;

  /** @param {Reading} reading @returns {Quality} */
  handleReading(reading) {
    const now = qualityOf(this.#before, reading);
    this.#before = reading;
    const order = ["weak", "fair", "good"];
    const better = order.indexOf(now) > order.indexOf(this.#shown);
    if (!better || this.#candidate === now) this.#shown = now;
    this.#candidate = now;
    return this.#shown;
  }
}
