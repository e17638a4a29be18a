// @ts-check
/**
 * Whether anything still comes from the server, from readings of RTCPeerConnection.getStats(): pure.
 *
 * Browsers take five seconds and more to say "disconnected". In a call something comes all the time: sound fifty
 * times a second, or a report every second. Silence is what lasts longer than the gaps before it.
 */

const GAPS = 4; // so many of the last gaps say what is usual
const USUAL_GAPS = 2; // one report that is lost is no silence
const SHORTEST_S = 1.5; // a handover between two cells takes a second
const LONGEST_S = 8; // with nothing but the answers to checks, every 2.5 to 3 s
const LATE_READING_S = 1.2; // the page slept: nobody listened, so nothing can be said

export class Pulse {
  #mark = Number.NaN;
  #read_at = Number.NEGATIVE_INFINITY;
  #heard_at = Number.NEGATIVE_INFINITY;
  /** @type {number[]} */
  #gaps = [];

  /**
   * @param {number} mark from `markOf`
   * @param {number} now
   * @returns {"heard" | "quiet" | "silent"}
   */
  handleReading(mark, now) {
    const slept = now - this.#read_at > LATE_READING_S;
    this.#read_at = now;
    if (mark !== this.#mark) {
      if (!slept) this.#gaps = [now - this.#heard_at, ...this.#gaps].slice(0, GAPS);
      this.#mark = mark;
      this.#heard_at = now;
      return "heard";
    }
    if (slept) this.#heard_at = now;
    const usual_s = this.#gaps.length < GAPS ? LONGEST_S : Math.max(...this.#gaps) * USUAL_GAPS;
    const longest_s = Math.min(LONGEST_S, Math.max(SHORTEST_S, usual_s));
    return now - this.#heard_at >= longest_s ? "silent" : "quiet";
  }
}

/**
 * A number that changes with whatever is received, in all browsers.
 * @param {Iterable<any>} report what getStats() gives
 * @returns {number}
 */
export function markOf(report) {
  let mark = 0;
  for (const item of report) {
    if (item.type === "transport") mark += item.bytesReceived ?? 0;
    else if (item.type === "candidate-pair")
      mark += (item.bytesReceived ?? 0) + (item.responsesReceived ?? 0);
    else if (item.type === "inbound-rtp") mark += item.packetsReceived ?? 0;
  }
  return mark;
}
