// @ts-check
/**
 * The page's end of the conversation, without the socket: pure, `handle…(input, now)` answers outputs.
 *
 *     connect ─► hello {after, hash} ─► welcome ─► entries… ─► synced ─► live
 *        ▲                                                              │
 *        └────────── back-off ◄── closed, silent, resync ◄──────────────┘
 *
 * A command keeps its id until the server answers it with ack or nack. On one connection it goes out once, in the
 * order of the taps, and again after a reconnect or in a later life of the page: the server gives it effect exactly
 * once. Nothing goes out before it is known what an earlier life had left: that comes first.
 */

import { Backoff } from "./backoff.js";
import {
  encodeClientMessage,
  FINAL_CLOSE_CODES,
  MalformedMessage,
  PROTOCOL_VERSION,
  parseServerMessage,
} from "./protocol.js";

const PING_AFTER_S = 10; // quiet this long: ask whether anybody is there
const PONG_WITHIN_S = 4; // a phone in a lift answers within this or not at all
const REPEAT_AFTER_S = 1; // the service could not write just now; its disk needs a breath, the person does not
const ANSWER_WITHIN_S = 8; // from connecting to synced; longer means a dead path

/** Refusals that PROTOCOL.md answers with "send again, same id". */
const PASSING = ["log_overloaded", "append_failed"];

/** @typedef {import("./protocol.js").Command} Command */
/** @typedef {import("./protocol.js").ServerMessage} ServerMessage */
/** @typedef {{id: string, command: Command}} Waiting */
/** @typedef {{id: string, accepted: boolean, number: number | null}} Answer number: of the last entry that it made */
/** @typedef {"outdated" | "bad_link" | "revoked" | "replaced" | "erased"} FinalReason */

/**
 * @typedef {{kind: "connect"}
 *   | {kind: "disconnect"}
 *   | {kind: "send", text: string}
 *   | {kind: "read_clock", probe: number}
 *   | {kind: "deliver", message: ServerMessage}
 *   | {kind: "offline"}
 *   | {kind: "closed", reason: FinalReason}
 *   | {kind: "forget"}
 *   | {kind: "answered", answer: Answer}} Output
 */

export class Synchronisation {
  #token;
  #backoff;
  /** @type {"resting" | "connecting" | "greeting" | "live" | "waiting" | "closed"} */
  #phase = "resting";
  #number = 0;
  /** @type {string | null} */
  #hash = null;
  /** @type {Waiting[]} */
  #outbox;
  #restored;
  /** Those that this connection has taken. @type {Set<string>} */
  #sent = new Set();
  #pinged = false;
  #deadline = Infinity;
  #repeat_at = Infinity;

  /**
   * @param {{token: string, random: () => number, outbox?: Waiting[] | null}} options
   *   outbox: commands that earlier lives of the page did not see answered; null: `handleRestored` will tell
   */
  constructor({ token, random, outbox = [] }) {
    this.#token = token;
    this.#backoff = new Backoff(random);
    this.#outbox = [...(outbox ?? [])];
    this.#restored = outbox !== null;
  }

  /** When to call handleTimeout, in the seconds of `now`. */
  get nextDeadline() {
    return Math.min(this.#deadline, this.#repeat_at);
  }

  get outbox() {
    return [...this.#outbox];
  }

  /** @param {number} now @returns {Output[]} */
  handleStart(now) {
    if (this.#phase === "connecting" || this.#phase === "greeting" || this.#phase === "live") return [];
    this.#phase = "connecting";
    this.#deadline = now + ANSWER_WITHIN_S;
    return [{ kind: "connect" }];
  }

  /** @param {number} now @returns {Output[]} */
  handleOpen(now) {
    if (this.#phase !== "connecting") return [];
    this.#phase = "greeting";
    this.#deadline = now + ANSWER_WITHIN_S;
    this.#sent.clear();
    const hello = encodeClientMessage({
      type: "hello",
      version: PROTOCOL_VERSION,
      token: this.#token,
      after: this.#number,
      hash: this.#hash,
      clock: true,
    });
    return [{ kind: "send", text: hello }];
  }

  /** @param {string} text @param {number} now @returns {Output[]} */
  handleText(text, now) {
    if (this.#phase !== "greeting" && this.#phase !== "live") return [];
    let message;
    try {
      message = parseServerMessage(text);
    } catch (error) {
      if (error instanceof MalformedMessage) return this.#retry(now);
      throw error;
    }
    this.#pinged = false;
    if (this.#phase === "live") this.#deadline = now + PING_AFTER_S;
    else this.#deadline = now + ANSWER_WITHIN_S; // a long history may take its time, silence may not
    switch (message.type) {
      case "entry": {
        const { number, previous_hash } = message.entry.envelope;
        if (number <= this.#number) return [];
        const follows = number === this.#number + 1 && (this.#hash === null || previous_hash === this.#hash);
        if (!follows) return this.#retry(now);
        this.#number = number;
        this.#hash = message.entry.hash;
        return [{ kind: "deliver", message }];
      }
      case "synced": {
        this.#phase = "live";
        this.#deadline = now + PING_AFTER_S;
        this.#backoff.reset();
        return [{ kind: "deliver", message }, ...this.#flush()];
      }
      case "ack":
      case "nack": {
        if (message.type === "nack" && PASSING.includes(message.code)) {
          this.#sent.delete(message.id);
          this.#repeat_at = now + REPEAT_AFTER_S;
          return [];
        }
        this.#outbox = this.#outbox.filter((waiting) => waiting.id !== message.id);
        const accepted = message.type === "ack";
        const number = message.type === "ack" ? message.number : null;
        return [
          { kind: "deliver", message },
          { kind: "answered", answer: { id: message.id, accepted, number } },
        ];
      }
      case "resync": {
        if (message.code !== "hash_mismatch") return [{ kind: "deliver", message }, ...this.#retry(now)];
        this.#number = 0;
        this.#hash = null;
        return [{ kind: "deliver", message }, { kind: "forget" }, ...this.#retry(now)];
      }
      case "clock_probe":
        return [{ kind: "read_clock", probe: message.probe }];
      case "pong":
        return [];
      default:
        return [{ kind: "deliver", message }];
    }
  }

  /** @param {number} code the WebSocket's close code @param {number} now @returns {Output[]} */
  handleClosed(code, now) {
    if (this.#phase === "closed" || this.#phase === "waiting" || this.#phase === "resting") return [];
    const reason = FINAL_CLOSE_CODES[code];
    if (reason === undefined) return this.#wait(now);
    this.#phase = "closed";
    this.#deadline = Infinity;
    return [{ kind: "closed", reason }];
  }

  /** @param {Waiting} waiting @param {number} _now @returns {Output[]} */
  handleCommand(waiting, _now) {
    this.#outbox.push(waiting);
    return this.#repeat_at === Infinity ? this.#flush() : []; // one that the service could not write goes first
  }

  /** What earlier lives of the page, or other pages that are gone, have left. @param {Waiting[]} left @returns {Output[]} */
  handleRestored(left) {
    const known = new Set(this.#outbox.map(({ id }) => id));
    const mine = this.#restored ? this.#outbox.filter(({ id }) => this.#sent.has(id)) : [];
    const rest = this.#outbox.filter((waiting) => !mine.includes(waiting));
    this.#outbox = [...mine, ...left.filter(({ id }) => !known.has(id)), ...rest];
    this.#restored = true;
    return this.#flush();
  }

  /** Signals are of the moment: nobody online, nothing sent. @param {import("./protocol.js").Signal} signal @returns {Output[]} */
  handleSignal(signal) {
    if (this.#phase !== "live") return [];
    return [{ kind: "send", text: encodeClientMessage({ type: "signal", signal }) }];
  }

  /** Of the moment, too. @param {string} actor_id @returns {Output[]} */
  handleSharpen(actor_id) {
    if (this.#phase !== "live") return [];
    return [{ kind: "send", text: encodeClientMessage({ type: "sharpen", actor_id }) }];
  }

  /** The network came back, or the page came to the front. @param {number} now @returns {Output[]} */
  handleWake(now) {
    if (this.#phase === "waiting") return this.handleStart(now);
    if (this.#phase === "live" && !this.#pinged) return this.#ping(now);
    return [];
  }

  /** @param {number} now @returns {Output[]} */
  handleTimeout(now) {
    if (now >= this.#repeat_at) {
      this.#repeat_at = Infinity;
      return this.#flush();
    }
    if (now < this.#deadline) return [];
    if (this.#phase === "waiting") return this.handleStart(now);
    if (this.#phase === "live" && !this.#pinged) return this.#ping(now);
    if (this.#phase === "resting" || this.#phase === "closed") return [];
    return this.#retry(now);
  }

  /** @returns {Output[]} */
  #flush() {
    if (this.#phase !== "live" || !this.#restored) return [];
    const fresh = this.#outbox.filter(({ id }) => !this.#sent.has(id));
    for (const { id } of fresh) this.#sent.add(id);
    return fresh.map(({ id, command }) => ({
      kind: "send",
      text: encodeClientMessage({ type: "command", id, command }),
    }));
  }

  /** @param {number} now @returns {Output[]} */
  #ping(now) {
    this.#pinged = true;
    this.#deadline = now + PONG_WITHIN_S;
    return [{ kind: "send", text: encodeClientMessage({ type: "ping" }) }];
  }

  /** @param {number} now @returns {Output[]} */
  #retry(now) {
    return [{ kind: "disconnect" }, ...this.#wait(now)];
  }

  /** @param {number} now @returns {Output[]} */
  #wait(now) {
    this.#phase = "waiting";
    this.#pinged = false;
    this.#deadline = now + this.#backoff.next();
    return [{ kind: "offline" }];
  }
}
