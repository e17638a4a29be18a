// @ts-check
/**
 * The life of the page's one media connection, without the connection: pure, `handle…(input, now)`.
 *
 *     open ─► answered ─► connected ─► silent ─ restart of ICE ─► connected
 *                │                       │
 *                └─ 3 s: by a relay      └─ in vain, or unknown to the server ─► open; no answer ─► back-off ─► open
 *
 * A restart of ICE finds new ways for the same connection, and costs one request. Where that does not help, a fresh
 * connection is made and replaces the old one. While the server cannot be reached the old one is kept: it may mend
 * itself, and nothing else could be made either.
 *
 * A person has one connection. Once it is on another device of theirs this one rests ("elsewhere") until the person
 * wants it here.
 */

import { Backoff } from "./backoff.js";

const CONNECT_WITHIN_S = 10; // offer, answer, checks and handshake under heavy loss take about five
const DIRECT_WITHIN_S = 3; // UDP takes one second, TCP two; then it is a relay's turn, if there is one
const BACK_WITHIN_S = 3; // of an answered restart: checks every 50 ms, and a TCP handshake if need be
const KEPT_FOR_S = 30; // silent and the server unreachable: browsers give up the connection at about that time
const UNKNOWN_FOR_S = 0.6; // the server's view lags behind ours by an event or two
const CALM_S = 1; // several signs of one change of network come at once

/** @typedef {"none" | "connecting" | "connected" | "reconnecting" | "refused" | "elsewhere"} MediaState */
/** @typedef {"ours" | "other" | "nobody"} Whose which device has the connection that the server knows */
/** @typedef {{kind: "open"} | {kind: "restart"} | {kind: "close"} | {kind: "state", state: MediaState}} Output */

export class MediaLife {
  #backoff;
  /** @type {"resting" | "opening" | "connected" | "silent" | "waiting" | "refused" | "elsewhere"} */
  #phase = "resting";
  #once = false;
  #unknown_since = Infinity;
  #other_since = Infinity;
  #deadline = Infinity;
  #opened_at = 0;
  #silent_since = 0;
  #restarted_at = -Infinity;
  /** What is left to try when the time is up. @type {"restart" | "open"} */
  #next = "open";
  /** @type {import("./protocol.js").MediaConnection | null} */
  #server_view = null;

  /** @param {{random: () => number}} options */
  constructor({ random }) {
    this.#backoff = new Backoff(random);
  }

  get nextDeadline() {
    return Math.min(this.#deadline, Math.min(this.#unknown_since, this.#other_since) + UNKNOWN_FOR_S);
  }

  /** Whether to look more often for the first sign of life. */
  get inTrouble() {
    return this.#phase === "silent";
  }

  /** @param {number} now @returns {Output[]} */
  handleStart(now) {
    return ["resting", "waiting", "refused", "elsewhere"].includes(this.#phase) ? this.#open(now) : [];
  }

  /** @returns {Output[]} */
  handleStop() {
    if (this.#phase === "resting") return [];
    this.#phase = "resting";
    this.#once = false;
    this.#deadline = Infinity;
    this.#unknown_since = this.#other_since = Infinity;
    return [{ kind: "close" }, { kind: "state", state: "none" }];
  }

  /**
   * The offer was answered.
   * @param {boolean} has_relay
   * @param {number} now
   * @returns {Output[]}
   */
  handleAnswered(has_relay, now) {
    if (this.#phase === "opening" && has_relay) {
      this.#deadline = Math.min(now + DIRECT_WITHIN_S, this.#opened_at + CONNECT_WITHIN_S);
    }
    return [];
  }

  /**
   * The POST of the offer did not give an answer.
   * @param {number} status of HTTP, 0 when nothing came back
   * @param {number} now
   * @returns {Output[]}
   */
  handleRefused(status, now) {
    if (this.#phase !== "opening") return [];
    if (status === 412) return this.#rest();
    // 401, 403, 404, 409, 410: asking again gives the same answer; the socket says why.
    if (isFinal(status)) {
      this.#phase = "refused";
      this.#deadline = Infinity;
      return [{ kind: "close" }, { kind: "state", state: "refused" }];
    }
    return this.#wait(now);
  }

  /** The restart was answered: now it must show that it helps. @param {number} now @returns {Output[]} */
  handleRestarted(now) {
    if (this.#phase !== "silent") return [];
    this.#next = "open";
    this.#deadline = now + BACK_WITHIN_S;
    return [];
  }

  /**
   * The PATCH did not give an answer.
   * @param {number} status of HTTP, 0 when nothing came back
   * @param {number} now
   * @returns {Output[]}
   */
  handleRestartRefused(status, now) {
    if (this.#phase !== "silent" && this.#phase !== "connected") return [];
    // 404, 409, 412: the server knows another connection, or none.
    if (isFinal(status)) return this.#open(now);
    if (this.#phase === "connected") return [];
    this.#next = now - this.#silent_since < KEPT_FOR_S ? "restart" : "open";
    this.#deadline = now + this.#backoff.next();
    return [];
  }

  /**
   * @param {string} state RTCPeerConnection.connectionState
   * @param {number} now
   * @returns {Output[]}
   */
  handleConnectionState(state, now) {
    if (["resting", "waiting", "refused", "elsewhere"].includes(this.#phase)) return [];
    switch (state) {
      case "connected":
        return this.#connected();
      case "disconnected":
        return this.handleSilence(now);
      case "failed":
      case "closed":
        return this.#wait(now);
      default:
        return [];
    }
  }

  /** Nothing has come for longer than it should. @param {number} now @returns {Output[]} */
  handleSilence(now) {
    if (this.#phase !== "connected") return [];
    this.#phase = "silent";
    this.#silent_since = now;
    return [...this.#restart(now), { kind: "state", state: "reconnecting" }];
  }

  /** Something has come. @returns {Output[]} */
  handleHeard() {
    // What we hear does not say that we are heard: of that the server tells.
    if (this.#phase !== "silent" || this.#server_view === "silent") return [];
    return this.#connected();
  }

  /**
   * What the server says of our connection: it may hear nothing of us, or, after its restart, know nothing of us.
   * Another device of the same person may have one, and have it instead of us.
   * @param {import("./protocol.js").MediaConnection} connection
   * @param {Whose} whose
   * @param {number} now
   * @returns {Output[]}
   */
  handleServerView(connection, whose, now) {
    if (whose === "other") {
      this.#server_view = null;
      this.#unknown_since = Infinity;
      // While we open, the server's view may be older than our wish; of what we lost by an answer that never came
      // nobody is connected.
      const ours = this.#phase === "connected" || this.#phase === "silent";
      const lost = ours || (this.#phase === "waiting" && connection === "connected");
      this.#other_since = lost ? Math.min(this.#other_since, now) : Infinity;
      return [];
    }
    this.#other_since = Infinity;
    const before = this.#server_view;
    this.#server_view = connection;
    if (connection !== "none") this.#unknown_since = Infinity;
    else if (this.#phase === "connected" && this.#unknown_since === Infinity) this.#unknown_since = now;
    return connection === "silent" && before !== "silent" ? this.handleSilence(now) : [];
  }

  /** The page came to the front. @param {number} now @returns {Output[]} */
  handleWake(now) {
    if (this.#phase === "waiting") return this.#open(now);
    if (this.#phase === "silent" && now - this.#restarted_at >= CALM_S) return this.#restart(now);
    return [];
  }

  /** The network came back, or is another one now. @param {number} now @returns {Output[]} */
  handleNetworkChange(now) {
    if (this.#phase === "connected" && now - this.#restarted_at >= CALM_S) return this.#restart(now);
    return this.handleWake(now);
  }

  /** @param {number} now @returns {Output[]} */
  handleTimeout(now) {
    if (now < this.nextDeadline) return [];
    if (now >= this.#other_since + UNKNOWN_FOR_S) return this.#rest();
    switch (this.#phase) {
      case "resting":
      case "refused":
      case "elsewhere":
        return [];
      case "opening":
        if (now - this.#opened_at >= CONNECT_WITHIN_S) return this.#wait(now);
        this.#deadline = this.#opened_at + CONNECT_WITHIN_S;
        return this.#restart(now);
      case "silent":
        return this.#next === "restart" ? this.#restart(now) : this.#open(now);
      default:
        return this.#open(now);
    }
  }

  /** @returns {Output[]} */
  #rest() {
    this.#phase = "elsewhere";
    this.#once = false;
    this.#deadline = Infinity;
    this.#unknown_since = this.#other_since = Infinity;
    this.#server_view = null;
    this.#backoff.reset();
    return [{ kind: "close" }, { kind: "state", state: "elsewhere" }];
  }

  /** @returns {Output[]} */
  #connected() {
    this.#phase = "connected";
    this.#once = true;
    this.#deadline = Infinity;
    this.#unknown_since = Infinity;
    this.#backoff.reset();
    return [{ kind: "state", state: "connected" }];
  }

  /** @param {number} now @returns {Output[]} */
  #restart(now) {
    this.#restarted_at = now;
    if (this.#phase === "silent") this.#deadline = Infinity; // the request ends by itself
    return [{ kind: "restart" }];
  }

  /** @param {number} now @returns {Output[]} */
  #open(now) {
    /** @type {Output[]} */
    const outputs = this.#phase === "resting" || this.#phase === "elsewhere" ? [] : [{ kind: "close" }];
    this.#phase = "opening";
    this.#unknown_since = this.#other_since = Infinity;
    this.#server_view = null;
    this.#opened_at = now;
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

/** Whether asking again would give the same answer. @param {number} status */
function isFinal(status) {
  return status >= 400 && status < 500 && status !== 408 && status !== 429;
}
