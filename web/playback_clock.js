// @ts-check
/**
 * One cursor for all that was recorded of a call: which file plays where, and all of them in step. Pure.
 *
 *     position   0 ───────────────●────────────────────────── ended_s      seconds since the call began
 *     courier      ├──── part 1 ──┼───────┤├──── part 2 ────┤              each file begins at its own began_s
 *     customer         ├──────────┼──────────────────────────────┤
 *
 * The files of people are apart, and each is played by an element with a clock of its own. While all that are due
 * here can play, the cursor moves with the mean of them, and each is drawn to the cursor: by a rate that nobody hears
 * for what is small, by seeking for what is large. Where one cannot go on, all wait for it. `now` is monotonic
 * seconds; every `handle…` answers what the driver has to do.
 */

/** @typedef {{key: string, track: string, began_s: number, ended_s: number}} Part a file; `track` is whose */

/**
 * @typedef {{kind: "load", key: string}
 *   | {kind: "unload", key: string}
 *   | {kind: "seek", key: string, time_s: number}
 *   | {kind: "play", key: string, rate: number}
 *   | {kind: "rate", key: string, rate: number}
 *   | {kind: "pause", key: string}} Output
 */

/**
 * What an element says of itself. `flowing`: it could play on from here.
 * @typedef {{key: string, time_s: number, flowing: boolean, seeking: boolean, ended: boolean}} Reading
 */

/** @typedef {"unasked" | "asked" | "there" | "failed"} PartState */
/** @typedef {"idle" | "waiting" | "playing" | "stepping" | "paused" | "ended"} ClockState */

/**
 * @typedef {Part & {
 *   state: PartState, asked_at: number, time_s: number, read_at: number, flowing: boolean, seeking: boolean,
 *   stale: boolean, sought_s: number | null, running: boolean, rate: number, corrected_at: number,
 *   frame_s: number | null, listed_s: number,
 * }} Known
 *   stale: shows another moment than the cursor's; listed_s: its end as listed, before the file told its own
 */

const SAME_S = 0.001; // below what any file's clock tells apart
const IN_PLACE_S = 0.06; // at rest: less than two pictures apart is not worth a seek
const NUDGE_S = 0.02; // in motion: half of what an ear or an eye could notice
const CALM_S = 0.008; // a nudged file runs freely again below this
const JUMP_S = 0.25; // what a nudge would take seconds for
const JUMP_EVERY_S = 2; // a file that cannot be sought is not sought for ever
const GAIN = 2; // a difference shrinks to a third in half a second
const MOST_NUDGE = 0.08; // pitch is kept by the browser; the pace of speech is not noticed to change
const SAME_RATE = 0.004; // a change that small is not worth telling an element
const LAST_PICTURE_S = 2; // at the end of the call the last picture stays of whoever was there until about then
const AHEAD_S = 20; // a file of 15 minutes is put together in less
const BEHIND_S = 60; // stepping back a little finds the file still there
const RETRY_AFTER_S = 60; // what breaks sooner than this after it was asked for will break again
const STEP_PATIENCE_S = 0.5; // no picture comes: a pause of whoever is shown
const FRAME_S = 1 / 30; // a step back before any picture was counted

export class PlaybackClock {
  /** @type {Map<string, Known>} */
  #parts = new Map();
  #ended_s;
  #position_s = 0;
  /** The moment for which the position holds while it moves. @type {number | null} */
  #moving_since = null;
  #rate = 1;
  /** @type {"pause" | "play" | "step"} */
  #wish = "pause";
  /** Nothing is asked for before somebody wants to see it: each asking is written down. */
  #wanted = false;
  /** @type {{key: string, from_s: number, until: number, back: boolean} | null} */
  #step = null;

  /** @param {{parts: readonly Part[], ended_s: number}} call */
  constructor({ parts, ended_s }) {
    this.#ended_s = ended_s;
    for (const part of parts) this.#parts.set(part.key, fresh(part));
  }

  /** @returns {ClockState} */
  get state() {
    if (!this.#wanted) return "idle";
    if (this.#wish === "step") return "stepping";
    if (this.#wish === "play") return this.#moving_since === null ? "waiting" : "playing";
    return this.#position_s >= this.#ended_s - SAME_S ? "ended" : "paused";
  }

  get rate() {
    return this.#rate;
  }

  get ended_s() {
    return this.#ended_s;
  }

  /** @param {number} now @returns {number} seconds since the call began */
  position(now) {
    if (this.#moving_since === null) return this.#position_s;
    const moved = (now - this.#moving_since) * (this.#wish === "step" ? 1 : this.#rate);
    return Math.min(this.#ended_s, this.#position_s + moved);
  }

  /** When something has to happen although nothing is heard. */
  get nextDeadline() {
    if (this.#moving_since === null) return Infinity;
    const since = this.#moving_since;
    const edges = [this.#ended_s];
    for (const { began_s, ended_s } of this.#parts.values()) edges.push(began_s - AHEAD_S, began_s, ended_s);
    const next = Math.min(...edges.filter((edge) => edge > this.#position_s + SAME_S));
    const at = since + (next - this.#position_s) / (this.#wish === "step" ? 1 : this.#rate);
    return Math.min(at, this.#step?.until ?? Infinity);
  }

  /**
   * The file that is due at the cursor, if that person was recorded then, and how it is.
   * @param {string} track
   * @param {number} now
   * @returns {{key: string, state: PartState, flowing: boolean} | null}
   */
  due(track, now) {
    const part = this.#due(this.position(now)).find((due) => due.track === track);
    return part ? { key: part.key, state: part.state, flowing: part.flowing && !part.seeking } : null;
  }

  /** How far a file is ahead of the cursor. @param {string} key @param {number} now */
  drift(key, now) {
    const part = this.#parts.get(key);
    return part ? part.began_s + timeOf(part, now) - this.position(now) : 0;
  }

  /** @param {number} now */
  handlePlay(now) {
    this.#advance(now);
    this.#wanted = true;
    this.#wish = "play";
    this.#step = null;
    if (this.#position_s >= this.#ended_s - SAME_S) return this.handleSeek(0, now);
    return this.#settle(now);
  }

  /** @param {number} now */
  handlePause(now) {
    this.#advance(now);
    this.#wish = "pause";
    this.#step = null;
    return this.#settle(now);
  }

  /** @param {number} position_s @param {number} now */
  handleSeek(position_s, now) {
    this.#advance(now);
    this.#position_s = Math.max(0, Math.min(this.#ended_s, position_s));
    if (this.#wish === "step") this.#wish = "pause";
    this.#step = null;
    for (const part of this.#parts.values()) part.stale = true;
    return this.#settle(now);
  }

  /** @param {number} rate @param {number} now */
  handleRate(rate, now) {
    this.#advance(now);
    this.#rate = rate;
    /** @type {Output[]} */
    const outputs = [];
    for (const part of this.#parts.values()) if (part.running) setRate(part, rate, now, outputs);
    return [...outputs, ...this.#settle(now)];
  }

  /**
   * One picture on, or back, of the file `key`; the others go along.
   * @param {string} key
   * @param {1 | -1} direction
   * @param {number} now
   */
  handleStep(key, direction, now) {
    const part = this.#parts.get(key);
    if (!this.#wanted || part?.state !== "there") return [];
    this.#advance(now);
    const at_s = this.#position_s - part.began_s;
    if (direction < 0) {
      // The picture before is the one that shows just before this one began.
      const shown = part.frame_s !== null && Math.abs(part.frame_s - at_s) < 1 ? part.frame_s : null;
      const outputs = this.handlePause(now);
      const target_s = shown === null ? at_s - FRAME_S : shown - SAME_S;
      const sought = this.handleSeek(part.began_s + target_s, now);
      this.#step = { key, from_s: shown ?? at_s, until: Infinity, back: true };
      return [...outputs, ...sought];
    }
    this.#wish = "step";
    this.#step = { key, from_s: part.frame_s ?? at_s, until: now + STEP_PATIENCE_S, back: false };
    return this.#settle(now);
  }

  /** A picture is on the screen. @param {string} key @param {number} media_time_s @param {number} now */
  handleFrame(key, media_time_s, now) {
    const part = this.#parts.get(key);
    if (!part) return [];
    part.frame_s = media_time_s;
    const step = this.#step;
    if (step?.key !== key) return [];
    const done = step.back ? media_time_s < step.from_s - SAME_S : media_time_s > step.from_s + SAME_S;
    if (!done) return [];
    this.#advance(now);
    this.#wish = "pause";
    this.#step = null;
    this.#position_s = Math.max(0, Math.min(this.#ended_s, part.began_s + media_time_s + SAME_S));
    return this.#settle(now);
  }

  /** The file is put together. @param {string} key @param {{began_s: number, duration_s: number}} facts @param {number} now */
  handleLoaded(key, { began_s, duration_s }, now) {
    const part = this.#parts.get(key);
    if (part?.state !== "asked") return [];
    this.#advance(now);
    Object.assign(part, fresh({ ...part, began_s, ended_s: began_s + duration_s }), {
      state: "there",
      asked_at: part.asked_at,
      listed_s: part.listed_s,
      stale: this.#position_s - began_s > SAME_S,
    });
    return this.#settle(now);
  }

  /** The service said no. @param {string} key @param {number} now */
  handleFailed(key, now) {
    const part = this.#parts.get(key);
    if (!part) return [];
    this.#advance(now);
    part.state = "failed";
    part.running = false;
    return this.#settle(now);
  }

  /**
   * The element cannot go on. Addresses of files are good for an hour: an old one is asked for again.
   * @param {string} key
   * @param {number} now
   */
  handleBroken(key, now) {
    const part = this.#parts.get(key);
    if (part?.state !== "there") return [];
    if (now - part.asked_at < RETRY_AFTER_S) return this.handleFailed(key, now);
    this.#advance(now);
    part.state = "unasked";
    part.running = false;
    return this.#settle(now);
  }

  /** Somebody wants what failed tried once more. @param {number} now */
  handleRetry(now) {
    this.#advance(now);
    for (const part of this.#parts.values()) if (part.state === "failed") part.state = "unasked";
    return this.#settle(now);
  }

  /**
   * There is more of a call that runs. What has grown is put together anew.
   * @param {readonly Part[]} parts
   * @param {number} ended_s
   * @param {number} now
   */
  handleParts(parts, ended_s, now) {
    this.#advance(now);
    this.#ended_s = Math.max(this.#ended_s, ended_s);
    /** @type {Output[]} */
    const outputs = [];
    for (const part of parts) {
      const known = this.#parts.get(part.key);
      if (known && part.ended_s <= known.listed_s + SAME_S) continue;
      if (known?.state === "there") outputs.push({ kind: "unload", key: part.key });
      if (known?.state !== "asked") this.#parts.set(part.key, fresh(part));
    }
    return [...outputs, ...this.#settle(now)];
  }

  /** @param {readonly Reading[]} readings of all files that are there @param {number} now */
  handleReadings(readings, now) {
    this.#advance(now);
    for (const reading of readings) {
      const part = this.#parts.get(reading.key);
      if (part?.state !== "there") continue;
      Object.assign(part, {
        time_s: reading.time_s,
        read_at: now,
        flowing: reading.flowing || reading.ended,
        seeking: reading.seeking,
      });
      // A file may be a little shorter than it was said to be.
      if (reading.ended && reading.time_s > SAME_S) part.ended_s = part.began_s + reading.time_s;
    }
    const outputs = this.#moving_since === null ? [] : this.#align(now);
    return [...outputs, ...this.#settle(now)];
  }

  /** @param {number} now */
  handleTimeout(now) {
    this.#advance(now);
    if (this.#step && now >= this.#step.until) {
      this.#step = null;
      this.#wish = "pause";
    }
    return this.#settle(now);
  }

  /** The cursor to the mean of what plays, each file towards the cursor. @param {number} now */
  #align(now) {
    /** @type {Output[]} */
    const outputs = [];
    const running = this.#due(this.#position_s).filter((part) => part.running && part.flowing);
    if (running.length === 0) return outputs;
    const drifts = running.map((part) => part.began_s + part.time_s - this.#position_s);
    const mean = drifts.reduce((sum, drift) => sum + drift, 0) / running.length;
    // Never back before the beginning of a file that plays: it would have to stop again.
    const floor = Math.max(...running.map(({ began_s }) => began_s));
    const before = this.#position_s;
    this.#position_s = Math.min(this.#ended_s, Math.max(before + mean, Math.min(before, floor)));
    const moved = this.#position_s - before;
    for (const [place, part] of running.entries()) {
      const drift = (drifts[place] ?? 0) - moved;
      if (Math.abs(drift) > JUMP_S && now - part.corrected_at > JUMP_EVERY_S) {
        part.stale = true;
        part.corrected_at = now;
        continue;
      }
      const nudged = part.rate !== this.#pace();
      const factor =
        Math.abs(drift) > (nudged ? CALM_S : NUDGE_S)
          ? 1 - Math.max(-MOST_NUDGE, Math.min(MOST_NUDGE, GAIN * drift))
          : 1;
      const rate = this.#pace() * factor;
      if (factor === 1 || Math.abs(rate - part.rate) > SAME_RATE) setRate(part, rate, now, outputs);
    }
    return outputs;
  }

  /** What has to be done so that all is as it is wished here and now. @param {number} now @returns {Output[]} */
  #settle(now) {
    /** @type {Output[]} */
    const outputs = [];
    if (this.#wish === "play" && this.#position_s >= this.#ended_s - SAME_S) this.#wish = "pause";
    const due = this.#due(this.#position_s);
    for (const part of this.#parts.values()) {
      const here = due.includes(part);
      const ahead_s = part.began_s - this.#position_s;
      const soon = this.#wish === "play" && ahead_s > 0 && ahead_s <= AHEAD_S;
      if (this.#wanted && part.state === "unasked" && (here || soon)) {
        part.state = "asked";
        part.asked_at = now;
        outputs.push({ kind: "load", key: part.key });
      }
      if (part.running && !here) stop(part, now, outputs);
      const far = ahead_s > AHEAD_S || this.#position_s - part.ended_s > BEHIND_S;
      if (part.state === "there" && far) {
        part.state = "unasked";
        outputs.push({ kind: "unload", key: part.key });
      }
    }
    let waiting = false;
    for (const part of due) {
      if (part.state === "asked") waiting = true;
      if (part.state !== "there") continue;
      const wanted_s = Math.max(0, this.#position_s - part.began_s);
      const off = Math.abs(timeOf(part, now) - wanted_s) > IN_PLACE_S;
      const tried = part.sought_s !== null && Math.abs(part.sought_s - wanted_s) < SAME_S;
      if (!part.seeking && (part.stale || (off && !part.running && !tried))) {
        stop(part, now, outputs);
        Object.assign(part, {
          seeking: true,
          stale: false,
          sought_s: wanted_s,
          time_s: wanted_s,
          frame_s: null,
        });
        outputs.push({ kind: "seek", key: part.key, time_s: wanted_s });
      }
      if (part.seeking || part.stale || !part.flowing) waiting = true;
    }
    const moving = this.#wish !== "pause" && !waiting;
    for (const part of due) {
      if (moving && part.state === "there" && !part.running) {
        Object.assign(part, { running: true, rate: this.#pace(), read_at: now, sought_s: null });
        outputs.push({ kind: "play", key: part.key, rate: part.rate });
      } else if (!moving && part.running) stop(part, now, outputs);
    }
    this.#moving_since = moving ? now : null;
    return outputs;
  }

  /** @param {number} now */
  #advance(now) {
    this.#position_s = this.position(now);
    if (this.#moving_since !== null) this.#moving_since = now;
  }

  #pace() {
    return this.#wish === "step" ? 1 : this.#rate;
  }

  /** Of each track the file that holds this moment: where two do, the later one. @param {number} position_s */
  #due(position_s) {
    /** @type {Map<string, Known>} */
    const due = new Map();
    const last_s = position_s >= this.#ended_s - SAME_S ? LAST_PICTURE_S : -SAME_S;
    for (const part of this.#parts.values()) {
      if (part.began_s > position_s + SAME_S || part.ended_s <= position_s - last_s) continue;
      const other = due.get(part.track);
      if (!other || other.began_s < part.began_s) due.set(part.track, part);
    }
    return [...due.values()];
  }
}

/** @param {Part} part @returns {Known} */
function fresh({ key, track, began_s, ended_s }) {
  return {
    key,
    track,
    began_s,
    ended_s,
    listed_s: ended_s,
    state: "unasked",
    asked_at: -Infinity,
    time_s: 0,
    read_at: 0,
    flowing: false,
    seeking: false,
    stale: false,
    sought_s: null,
    running: false,
    rate: 1,
    corrected_at: -Infinity,
    frame_s: null,
  };
}

/** Where a file is by now, by its last reading. @param {Known} part @param {number} now */
function timeOf(part, now) {
  return part.running ? part.time_s + (now - part.read_at) * part.rate : part.time_s;
}

/** @param {Known} part @param {number} now @param {Output[]} outputs */
function stop(part, now, outputs) {
  if (!part.running) return;
  Object.assign(part, { time_s: timeOf(part, now), read_at: now, running: false });
  outputs.push({ kind: "pause", key: part.key });
}

/** @param {Known} part @param {number} rate @param {number} now @param {Output[]} outputs */
function setRate(part, rate, now, outputs) {
  if (rate === part.rate) return;
  Object.assign(part, { time_s: timeOf(part, now), read_at: now, rate });
  outputs.push({ kind: "rate", key: part.key, rate });
}
