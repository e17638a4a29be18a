// @ts-check
/**
 * The life of the page's one media connection, without the connection: pure, `handle…(input, now)`.
 *
 *     open ─► answered ─► connected ─► (silent too long, failed, unknown to the server) ─► back-off ─► open
 *
 * There is no renegotiation: whatever goes wrong, a fresh connection is made and replaces the old one.
 */

import { Backoff } from "./backoff.js";

const CONNECT_WITHIN_S = 10; // offer, answer, checks and handshake under heavy loss take about five
const SILENT_FOR_S = 2.5; // "disconnected" often mends itself within two seconds: a walk past a lift
const UNKNOWN_FOR_S = 0.6; // the server's view lags behind ours by an event or two

/** @typedef {"none" | "connecting" | "connected" | "reconnecting" | "refused"} MediaState */
/** @typedef {{kind: "open"} | {kind: "close"} | {kind: "state", state: MediaState}} Output */

export class MediaLife {
  #backoff;
  /** @type {"resting" | "opening" | "connected" | "silent" | "waiting" | "refused"} */
  #phase = "resting";
  #once = false;
  #unknown_since = Infinity;
  #deadline = Infinity;

  /** @param {{random: () => number}} options */
  constructor({ random }) {
    this.#backoff = new Backoff(random);
  }

  get nextDeadline() {
    return Math.min(this.#deadline, this.#unknown_since + UNKNOWN_FOR_S);
  }

  /** @param {number} now @returns {Output[]} */
  handleStart(now) {
    if (this.#phase !== "resting" && this.#phase !== "waiting" && this.#phase !== "refused") return [];
    return this.#open(now);
  }

  /** @returns {Output[]} */
  handleStop() {
    if (this.#phase === "resting") return [];
    this.#phase = "resting";
    this.#once = false;
    this.#deadline = Infinity;
    this.#unknown_since = Infinity;
    return [{ kind: "close" }, { kind: "state", state: "none" }];
  }

  /**
   * The POST of the offer did not give an answer.
   * @param {number} status of HTTP, 0 when nothing came back
   * @param {number} now
   * @returns {Output[]}
   */
  handleRefused(status, now) {
    if (this.#phase !== "opening") return [];
    // 401, 403, 404, 409, 410: asking again gives the same answer; the socket says why.
    if (status >= 400 && status < 500 && status !== 408 && status !== 429) {
      this.#phase = "refused";
      this.#deadline = Infinity;
      return [{ kind: "close" }, { kind: "state", state: "refused" }];
    }
    return this.#wait(now);
  }

  /**
   * @param {string} state RTCPeerConnection.connectionState
   * @param {number} now
   * @returns {Output[]}
   */
  handleConnectionState(state, now) {
    if (this.#phase === "resting" || this.#phase === "waiting" || this.#phase === "refused") return [];
    switch (state) {
      case "connected":
        this.#phase = "connected";
        this.#once = true;
        this.#deadline = Infinity;
        this.#unknown_since = Infinity;
        this.#backoff.reset();
        return [{ kind: "state", state: "connected" }];
      case "disconnected":
        if (this.#phase !== "connected") return [];
        this.#phase = "silent";
        this.#deadline = now + SILENT_FOR_S;
        return [{ kind: "state", state: "reconnecting" }];
      case "failed":
      case "closed":
        return this.#wait(now);
      default:
        return [];
    }
  }

  /**
   * What the server says of our connection: after its restart it knows nothing of us, and the browser would
   * need half a minute to notice.
   * @param {import("./protocol.js").MediaConnection} connection
   * @param {number} now
   * @returns {Output[]}
   */
  handleServerView(connection, now) {
    if (connection !== "none") this.#unknown_since = Infinity;
    else if (this.#phase === "connected" && this.#unknown_since === Infinity) this.#unknown_since = now;
    return [];
  }

  /** The network came back or changed, or the page came to the front. @param {number} now @returns {Output[]} */
  handleWake(now) {
    if (this.#phase === "waiting" || this.#phase === "silent") return this.#open(now);
    return [];
  }

  /** @param {number} now @returns {Output[]} */
  handleTimeout(now) {
    if (now < this.nextDeadline) return [];
    if (this.#phase === "waiting") return this.#open(now);
    if (this.#phase === "resting" || this.#phase === "refused") return [];
    if (this.#phase === "opening") return this.#wait(now);
    return this.#open(now);
  }

  /** @param {number} now @returns {Output[]} */
  #open(now) {
    /** @type {Output[]} */
    const outputs = this.#phase === "resting" ? [] : [{ kind: "close" }];
    this.#phase = "opening";
    this.#unknown_since = Infinity;
    this.#deadline = now + CONNECT_WITHIN_S;
    outputs.push({ kind: "open" }, { kind: "state", state: this.#once ? "reconnecting" : "connecting" });
    return outputs;
  }

  /** @param {number} now @returns {Output[]} */
  #wait(now) {
    this.#phase = "waiting";
    this.#unknown_since = Infinity;
    this.#deadline = now + this.#backoff.next();
    return [{ kind: "close" }, { kind: "state", state: this.#once ? "reconnecting" : "connecting" }];
  }
}
