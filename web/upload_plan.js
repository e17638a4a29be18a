// @ts-check
/**
 * What becomes of the files of commands, without the network: pure, `handle…(input, now)` answers outputs.
 *
 *     taken ── ack of its command ──► POST ──► PATCH … PATCH ──► settling ── entry stored or refused ──► forgotten
 *       │                              ▲ │           │              │
 *       └── nack ──► left alone        │ └─ refused: failed         └── no entry comes: POST again
 *                                      └── back-off, then HEAD or POST: no network, 5xx, broken pieces
 *
 * Bytes follow in the order of their commands, two at a time. What the server refuses for good, or what does not
 * get on after many tries, has failed and says why; the bytes stay on the device, and a later life of the page
 * tries again. A refused command leaves its bytes to the person, who may give them again.
 */

import { Backoff } from "./backoff.js";

export const PIECE_BYTES = 256 * 1024; // 20 s at 100 kbit/s: a piece that breaks off is sent again from its start
const MAX_AT_ONCE = 2; // one fills the line while the other waits for an answer; the call needs the rest
const MAX_TRIES = 20; // answered but no further: some two minutes with the longest back-off of 8 s
const SETTLES_WITHIN_S = 30; // the server looks at the bytes in a worker, one photo after another

/** Answers of the server that pass by themselves; 460 is tus's "checksum mismatch". */
const PASSING = [408, 423, 425, 429, 460];

/** @typedef {{sha256: string, size_bytes: number}} File */
/** @typedef {{code: string, message: string}} Failure */
/** @typedef {{sent_bytes: number, size_bytes: number, failed?: Failure}} Progress */
/** @typedef {"post" | "head" | "patch"} Method */
/**
 * status: of HTTP, 0 when nothing came back; offset: the header's, null without one.
 * @typedef {{status: number, location: string | null, offset: number | null, code: string, message: string}} Answered
 */

/**
 * announced: write down that entry `number` names these bytes, so that a later life knows; forget: no longer needed.
 * @typedef {{kind: "request", sha256: string, method: Method, location: string, offset: number, length: number, size_bytes: number}
 *   | {kind: "announced", sha256: string, number: number}
 *   | {kind: "forget", sha256: string}
 *   | {kind: "progress", sha256: string, progress: Progress | null}} Output
 */

/**
 * @typedef {{
 *   size_bytes: number, commands: Set<string>, announced: number | null, location: string | null, offset: number,
 *   phase: "taken" | "queued" | "asking" | "settling" | "waiting" | "failed", method: Method, tries: number,
 *   backoff: Backoff, until: number, failure: Failure | null, exhausted: boolean,
 * }} Job
 */

export class UploadPlan {
  #random;
  /** @type {Map<string, Job>} */
  #jobs = new Map();
  /** The newest entry that settled bytes of this person. @type {Map<string, number>} */
  #settled = new Map();
  #online = false;

  /** @param {{random: () => number}} options */
  constructor({ random }) {
    this.#random = random;
  }

  /** When to call handleTimeout, in the seconds of `now`. */
  get nextDeadline() {
    let next = Infinity;
    for (const job of this.#jobs.values()) {
      const counts = this.#online && (job.phase === "waiting" || job.phase === "settling");
      if (counts) next = Math.min(next, job.until);
    }
    return next;
  }

  /**
   * A command with files waits for its answer: just given, or left by an earlier life of the page.
   * @param {string} id
   * @param {readonly File[]} files
   * @returns {Output[]}
   */
  handleTaken(id, files) {
    return files.flatMap(({ sha256, size_bytes }) => {
      const job = this.#job(sha256, size_bytes);
      job.commands.add(id);
      return [progressOf(sha256, job)];
    });
  }

  /**
   * A file of an earlier life of the page whose command had been answered: entry `number` names it.
   * @param {File} file
   * @param {number} number
   * @param {number} now
   * @returns {Output[]}
   */
  handleRestored({ sha256, size_bytes }, number, now) {
    return this.#announce(sha256, this.#job(sha256, size_bytes), number, now);
  }

  /** @param {import("./synchronisation.js").Answer} answer @param {number} now @returns {Output[]} */
  handleAnswered({ id, accepted, number }, now) {
    /** @type {Output[]} */
    const outputs = [];
    for (const [sha256, job] of [...this.#jobs]) {
      if (!job.commands.delete(id)) continue;
      if (accepted) {
        const announced = number ?? job.announced ?? 0;
        outputs.push(
          { kind: "announced", sha256, number: announced },
          ...this.#announce(sha256, job, announced, now),
        );
      } else if (job.announced === null && job.commands.size === 0) {
        this.#jobs.delete(sha256);
        outputs.push({ kind: "progress", sha256, progress: null });
      }
    }
    return outputs;
  }

  /**
   * Entry `number` says that bytes of this person are stored or refused.
   * @param {string} sha256
   * @param {number} number
   * @param {number} now
   * @returns {Output[]}
   */
  handleSettled(sha256, number, now) {
    this.#settled.set(sha256, number);
    const job = this.#jobs.get(sha256);
    if (job === undefined || job.announced === null || number <= job.announced) return [];
    return [...this.#finish(sha256, job), ...this.#next(now)];
  }

  /** The conversation is live: what can be settled by now is. @param {number} now @returns {Output[]} */
  handleOnline(now) {
    this.#online = true;
    for (const job of this.#jobs.values()) {
      const again = job.phase === "waiting" || job.phase === "settling";
      if (!again && !(job.phase === "failed" && job.exhausted)) continue;
      if (job.phase === "settling") job.location = null;
      job.phase = "queued";
      job.failure = null;
      job.tries = 0;
      job.backoff.reset();
    }
    return this.#next(now);
  }

  /** @returns {Output[]} */
  handleOffline() {
    this.#online = false;
    return [];
  }

  /** @param {string} sha256 @param {Answered} answered @param {number} now @returns {Output[]} */
  handleAnswer(sha256, answered, now) {
    const job = this.#jobs.get(sha256);
    if (job === undefined || job.phase !== "asking") return this.#next(now);
    return [...this.#take(sha256, job, answered, now), ...this.#next(now)];
  }

  /** @param {number} now @returns {Output[]} */
  handleTimeout(now) {
    /** @type {Output[]} */
    const outputs = [];
    if (!this.#online) return outputs;
    for (const [sha256, job] of this.#jobs) {
      if (now < job.until) continue;
      if (job.phase === "waiting") job.phase = "queued";
      else if (job.phase === "settling") {
        job.location = null;
        outputs.push(
          ...this.#again(sha256, job, "unsettled", "The service does not say what became of it.", now),
        );
      }
    }
    return [...outputs, ...this.#next(now)];
  }

  /** @param {string} sha256 @param {number} size_bytes */
  #job(sha256, size_bytes) {
    let job = this.#jobs.get(sha256);
    if (job === undefined) {
      job = {
        size_bytes,
        commands: new Set(),
        announced: null,
        location: null,
        offset: 0,
        phase: "taken",
        method: "post",
        tries: 0,
        backoff: new Backoff(this.#random),
        until: Infinity,
        failure: null,
        exhausted: false,
      };
      this.#jobs.set(sha256, job);
    }
    return job;
  }

  /** @param {string} sha256 @param {Job} job @param {number} number @param {number} now @returns {Output[]} */
  #announce(sha256, job, number, now) {
    job.announced = Math.max(job.announced ?? 0, number);
    // The entries of the log may have come before this was known.
    if ((this.#settled.get(sha256) ?? 0) > job.announced) return this.#finish(sha256, job);
    if (job.phase === "taken" || job.phase === "failed") job.phase = "queued";
    job.failure = null;
    return [progressOf(sha256, job), ...this.#next(now)];
  }

  /** Another command that names the same bytes may still wait. @param {string} sha256 @param {Job} job @returns {Output[]} */
  #finish(sha256, job) {
    if (job.commands.size === 0) return this.#forget(sha256);
    Object.assign(job, { phase: "taken", announced: null, location: null, offset: 0, tries: 0 });
    return [];
  }

  /** @param {string} sha256 @returns {Output[]} */
  #forget(sha256) {
    this.#jobs.delete(sha256);
    return [
      { kind: "forget", sha256 },
      { kind: "progress", sha256, progress: null },
    ];
  }

  /** @param {string} sha256 @param {Job} job @param {Answered} answered @param {number} now @returns {Output[]} */
  #take(sha256, job, { status, location, offset, code, message }, now) {
    const { method } = job;
    if (status >= 200 && status < 300) {
      if (method === "post") job.location = location ?? job.location;
      const sane = offset !== null && offset >= 0 && offset <= job.size_bytes && job.location !== null;
      if (!sane)
        return this.#again(sha256, job, "malformed_answer", "The service gave an answer without sense.", now);
      const further = offset > job.offset;
      if (method === "patch" && !further)
        return this.#again(sha256, job, "no_progress", "It does not get on.", now);
      job.offset = offset;
      if (further) {
        job.tries = 0;
        job.backoff.reset();
      }
      if (offset === job.size_bytes) {
        job.phase = "settling";
        job.until = now + SETTLES_WITHIN_S;
      } else {
        job.phase = "queued";
        job.method = "patch";
      }
      return [progressOf(sha256, job)];
    }
    if (method !== "post" && (status === 404 || status === 410)) {
      job.location = null; // it was forgotten, or is settled: POST tells
      return this.#again(sha256, job, code, message, now);
    }
    const mends = status === 0 || status >= 500 || PASSING.includes(status);
    if (mends || (method === "patch" && status === 409)) {
      return this.#again(sha256, job, code, message, now, status === 0);
    }
    return this.#fail(sha256, job, { code, message }, false);
  }

  /**
   * Once more after a pause.
   * @param {string} sha256
   * @param {Job} job
   * @param {string} code
   * @param {string} message
   * @param {number} now
   * @param {boolean} [unreachable] nobody answered: that may last, and is nobody's fault
   * @returns {Output[]}
   */
  #again(sha256, job, code, message, now, unreachable = false) {
    if (!unreachable) job.tries += 1;
    if (job.tries > MAX_TRIES) return this.#fail(sha256, job, { code, message }, true);
    job.phase = "waiting";
    job.method = job.location === null ? "post" : "head";
    job.until = now + job.backoff.next();
    return [];
  }

  /** @param {string} sha256 @param {Job} job @param {Failure} failure @param {boolean} exhausted @returns {Output[]} */
  #fail(sha256, job, failure, exhausted) {
    Object.assign(job, { phase: "failed", failure, exhausted, location: null });
    return [progressOf(sha256, job)];
  }

  /** What may begin now. @param {number} _now @returns {Output[]} */
  #next(_now) {
    /** @type {Output[]} */
    const outputs = [];
    if (!this.#online) return outputs;
    let asking = [...this.#jobs.values()].filter(({ phase }) => phase === "asking").length;
    for (const [sha256, job] of this.#jobs) {
      if (asking >= MAX_AT_ONCE) break;
      if (job.phase !== "queued") continue;
      if (job.location === null) job.method = "post";
      job.phase = "asking";
      asking += 1;
      outputs.push({
        kind: "request",
        sha256,
        method: job.method,
        location: job.location ?? "",
        offset: job.offset,
        length: job.method === "patch" ? Math.min(PIECE_BYTES, job.size_bytes - job.offset) : 0,
        size_bytes: job.size_bytes,
      });
    }
    return outputs;
  }
}

/** @param {string} sha256 @param {Job} job @returns {Output} */
function progressOf(sha256, { offset, size_bytes, failure }) {
  const progress = { sent_bytes: offset, size_bytes, ...(failure && { failed: failure }) };
  return { kind: "progress", sha256, progress };
}
