// @ts-check
/**
 * Plays a recorded call at the desk: everybody's picture side by side on one clock. Drives a `PlaybackClock`.
 *
 *     listing ──► ready ──play──► being put together ──► playing ◄──► paused ──► ended
 *        └─► unreachable, nothing recorded        └─► failed: one person's, the others play on
 *
 * Nothing is asked for before play is pressed: who asks is written in the log.
 */

import { ApiError } from "./api.js";
import { draw, h, icon, keyed, set, show, text } from "./dom.js";
import { recordingErased } from "./erasure.js";
import { drawTile, makeTile, tileState } from "./play_tile.js";
import { PlaybackClock } from "./playback_clock.js";
import { pieceAt } from "./playback_sources.js";
import { spanOf } from "./recordings.js";
import { SeekBar } from "./seek_bar.js";
import { callClock, clockTime } from "./words.js";

/** @typedef {import("./api.js").Recording} Recording */
/** @typedef {import("./api.js").PlaybackFile} PlaybackFile */
/** @typedef {import("./playback_clock.js").Output} Output */
/** @typedef {import("./recordings.js").RecordedCall} RecordedCall */
/** @typedef {import("./state.js").State} State */
/** @typedef {import("./words.js").Words} Words */

const READ_EVERY_MS = 100; // small against what an eye notices, large against what it costs
const LIST_AGAIN_MS = 3000;
const FILE_GOOD_FOR_MS = 50 * 60_000; // its address is, for an hour
const UNFINISHED = "unfinished_recording"; // more of it is to come; the service makes files of what is whole
const SKIP_S = 5;
const RATES = [0.5, 0.75, 1, 1.25, 1.5, 2];
const WEIGHT = { courier: 0, customer: 1, guest: 2, qa: 3, dispatch: 3, integrator: 4, system: 4 };

export class Player {
  #api;
  #case_id;
  #onCursor;
  #onChange;
  /** @type {RecordedCall | null} */
  #call = null;
  /** @type {"listing" | "there" | "unreachable"} */
  #list = "listing";
  /** @type {readonly Recording[]} */
  #recordings = [];
  /** @type {PlaybackClock | null} */
  #clock = null;
  #plays_when_listed = false;
  /** @type {Map<string, {file: PlaybackFile, asked_at: number}>} */
  #files = new Map();
  /** @type {Map<string, HTMLVideoElement>} */
  #elements = new Map();
  /** Why a file could not be had. @type {Map<string, string>} */
  #failures = new Map();
  /** @type {Set<string>} */
  #muted = new Set();
  /** Whose picture the frame keys step through. @type {string | null} */
  #chosen = null;
  #turn = 0;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #reading;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #listing;
  /** @type {State | null} */
  #state = null;
  /** @type {Words | null} */
  #words = null;

  /**
   * @param {{
   *   api: import("./api.js").Api, case_id: string,
   *   onCursor: (at_ms: number) => void, onChange: () => void,
   * }} options
   */
  constructor({ api, case_id, onCursor, onChange }) {
    this.#api = api;
    this.#case_id = case_id;
    this.#onCursor = onCursor;
    this.#onChange = onChange;
    this.tiles = h("div", { class: "play-tiles" });
    this.note = h("p", { class: "play-note", testid: "play-note", role: "status" });
    this.stage = h("div", { class: "play-stage" }, this.tiles, this.note);
    this.playIcon = icon("play");
    this.playWord = h("span");
    this.play = h(
      "button",
      {
        class: "button is-accent play-button",
        type: "button",
        testid: "play",
        on: { click: () => this.toggle() },
      },
      this.playIcon,
      this.playWord,
    );
    this.back = this.#frameButton("frame-back", "frame_back", -1);
    this.on = this.#frameButton("frame-on", "frame_on", 1);
    this.time = h("p", { class: "play-time", testid: "play-time" });
    this.rateWord = h("span");
    this.rate = h("select", { class: "select", testid: "rate" });
    for (const rate of RATES) this.rate.append(h("option", { value: rate }, `${rate}×`));
    this.rate.value = "1";
    this.rate.addEventListener("change", () => {
      this.#setRate(Number(this.rate.value));
      this.rate.blur();
    });
    this.again = h("button", {
      class: "button",
      type: "button",
      testid: "play-again",
      on: { click: () => this.#do(this.#clock?.handleRetry(now()) ?? []) },
    });
    this.closing = h(
      "button",
      { class: "icon-button", type: "button", testid: "player-close", on: { click: () => this.close() } },
      icon("close"),
    );
    this.seek = new SeekBar((at_ms) => this.seekTo(at_ms));
    this.element = h(
      "section",
      { class: "player", testid: "player", hidden: true },
      this.stage,
      h(
        "div",
        { class: "play-controls" },
        this.play,
        this.back,
        this.on,
        this.time,
        this.again,
        h("label", { class: "play-rate" }, this.rateWord, this.rate),
        this.closing,
      ),
      this.seek.element,
    );
    keepFocusAway(this.element);
  }

  /** The call that is open. */
  get call_number() {
    return this.#call?.call_number ?? null;
  }

  /** What is loaded, for the facts: the files, their pieces, and whose they are. */
  get sources() {
    return [...this.#files.entries()]
      .map(([key, { file }]) => ({ key, name: this.#nameOf(trackOf(key)), pieces: file.segments }))
      .sort((one, other) => this.#order(trackOf(one.key)) - this.#order(trackOf(other.key)));
  }

  /** @param {RecordedCall} call */
  open(call) {
    this.close();
    this.#call = call;
    this.#list = "listing";
    this.#fetchList();
    show(this.element, true);
    this.#onChange();
  }

  close() {
    if (!this.#call) return;
    this.#turn += 1;
    clearInterval(this.#reading);
    clearTimeout(this.#timer);
    clearTimeout(this.#listing);
    for (const key of [...this.#elements.keys()]) this.#unload(key);
    this.#call = null;
    this.#clock = null;
    this.#recordings = [];
    this.#files.clear();
    this.#failures.clear();
    this.#plays_when_listed = false;
    show(this.element, false);
    this.#onChange();
  }

  toggle() {
    const clock = this.#clock;
    if (!clock) {
      this.#plays_when_listed = !this.#plays_when_listed;
      return this.#draw();
    }
    if (["playing", "waiting", "stepping"].includes(clock.state)) return this.#do(clock.handlePause(now()));
    if (clock.state === "ended" && this.#call?.ended_ms === null) {
      // There may be more by now; if not, it plays from the beginning.
      this.#plays_when_listed = true;
      this.#fetchList();
      return undefined;
    }
    return this.#do([...clock.handleRetry(now()), ...clock.handlePlay(now())]);
  }

  /** The cursor to a moment, if this call has it. @param {number} at_ms @returns {boolean} */
  seekTo(at_ms) {
    if (!this.#clock || !this.#call) return false;
    const position_s = (at_ms - this.#call.began_ms) / 1000;
    if (position_s < -1 || position_s > this.#clock.ended_s + 1) return false;
    this.#do(this.#clock.handleSeek(position_s, now()));
    return true;
  }

  /** @param {string} key @returns {boolean} whether it meant something */
  handleKey(key) {
    if (!this.#call) return false;
    const clock = this.#clock;
    const at_s = clock?.position(now()) ?? 0;
    switch (key) {
      case " ":
        this.toggle();
        return true;
      case ".":
        this.#step(1);
        return true;
      case ",":
        this.#step(-1);
        return true;
      case "ArrowRight":
        this.#do(clock?.handleSeek(at_s + SKIP_S, now()) ?? []);
        return true;
      case "ArrowLeft":
        this.#do(clock?.handleSeek(at_s - SKIP_S, now()) ?? []);
        return true;
      case "<":
      case ">": {
        const place = RATES.indexOf(clock?.rate ?? 1) + (key === ">" ? 1 : -1);
        this.#setRate(RATES[Math.max(0, Math.min(RATES.length - 1, place))] ?? 1);
        return true;
      }
      case "m":
        this.#mute(this.#chosenTrack());
        return true;
      case "1":
      case "2":
      case "3":
      case "4":
        this.#choose(this.#tracks()[Number(key) - 1] ?? null);
        return true;
      case "Escape":
        this.close();
        return true;
      default:
        return false;
    }
  }

  /** @param {State} state @param {Words} words */
  update(state, words) {
    this.#state = state;
    this.#words = words;
    const call = state.recordings.calls.find(({ call_number }) => call_number === this.#call?.call_number);
    if (this.#call?.ended_ms === null && call && call.ended_ms !== null) this.#askAgainSoon();
    if (this.#call && !call) return this.close(); // the log is being read anew
    if (!call) return undefined;
    this.#call = call;
    const { player } = words.desk;
    text(this.rateWord, player.speed);
    for (const [button, word] of /** @type {const} */ ([
      [this.back, player.back],
      [this.on, player.on],
    ])) {
      set(button, "aria-label", word);
      set(button, "title", word);
    }
    text(this.again, words.try_again);
    set(this.closing, "aria-label", words.close);
    set(this.closing, "title", words.close);
    const people = this.#tracks().map((actor_id) => ({ actor_id, name: this.#nameOf(actor_id) }));
    const span = this.#clock
      ? { began_ms: call.began_ms, ended_ms: call.began_ms + this.#clock.ended_s * 1000 }
      : spanOf(call);
    this.seek.update(call, span, people, words, this.#state?.case?.time_zone);
    return this.#draw();
  }

  /** The piece of a file that the cursor is in. @param {string} key @param {(number: number) => number} beganOf */
  pieceNow(key, beganOf) {
    const file = this.#files.get(key)?.file;
    const clock = this.#clock;
    if (!file || !clock || !this.#call || clock.due(trackOf(key), now())?.key !== key) return null;
    return pieceAt(file.segments, beganOf, this.#call.began_ms + clock.position(now()) * 1000);
  }

  // Listing and loading.

  async #fetchList() {
    const call_number = this.#call?.call_number;
    const turn = this.#turn;
    try {
      const calls = await this.#api.calls(this.#case_id);
      if (turn !== this.#turn) return;
      this.#recordings = calls.find((call) => call.call_number === call_number)?.recordings ?? [];
      const waits = this.#recordings.length === 0 && this.#call?.ended_ms === null;
      this.#list = waits ? "listing" : "there";
      clearTimeout(this.#listing);
      if (waits) this.#listing = setTimeout(() => this.#fetchList(), LIST_AGAIN_MS);
      this.#takeList();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (turn !== this.#turn) return;
      this.#list = "unreachable";
      clearTimeout(this.#listing);
      this.#listing = setTimeout(() => this.#fetchList(), LIST_AGAIN_MS);
    }
    this.#onChange();
  }

  #takeList() {
    const call = this.#call;
    if (!call || this.#recordings.length === 0) return;
    const seconds = (/** @type {string} */ at) => (Date.parse(at) - call.began_ms) / 1000;
    const parts = this.#recordings.map(({ actor_id, part, began_at, ended_at }) => ({
      key: keyOf(actor_id, part),
      track: actor_id,
      began_s: Math.max(0, seconds(began_at)),
      ended_s: seconds(ended_at),
    }));
    const ended_s = Math.max(...parts.map((part) => part.ended_s));
    if (this.#clock) {
      const before = this.#clock.ended_s;
      this.#do(this.#clock.handleParts(parts, ended_s, now()));
      if (ended_s > before) for (const { key } of parts) this.#forgetIfGrown(key);
    } else {
      this.#clock = new PlaybackClock({ parts, ended_s });
      this.#clock.handleRate(Number(this.rate.value), now());
      clearInterval(this.#reading);
      this.#reading = setInterval(() => this.#read(), READ_EVERY_MS);
    }
    if (this.#plays_when_listed) this.#do(this.#clock.handlePlay(now()));
    this.#plays_when_listed = false;
  }

  /** A file of a running call is not the one that it was. @param {string} key */
  #forgetIfGrown(key) {
    if (!this.#elements.has(key)) this.#files.delete(key);
  }

  /** @param {string} key */
  async #load(key) {
    const turn = this.#turn;
    const track = trackOf(key);
    const recording = this.#recordings.find(({ actor_id, part }) => keyOf(actor_id, part) === key);
    if (!this.#call || !recording) return;
    const call = this.#call;
    try {
      let kept = this.#files.get(key);
      if (!kept || Date.now() - kept.asked_at > FILE_GOOD_FOR_MS) {
        const which = { actor_id: track, part: recording.part };
        const file = await this.#api.playback(this.#case_id, call.call_number, which);
        if (turn !== this.#turn) return;
        kept = { file, asked_at: Date.now() };
        this.#files.set(key, kept);
      }
      this.#show(key, kept.file.url);
      const began_s = (Date.parse(kept.file.began_at) - call.began_ms) / 1000;
      const facts = { began_s, duration_s: kept.file.duration_ms / 1000 };
      this.#do(this.#clock?.handleLoaded(key, facts, now()) ?? []);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (turn !== this.#turn) return;
      this.#failures.set(key, error.code);
      this.#do(this.#clock?.handleFailed(key, now()) ?? []);
      // The last pieces of a call that has just ended are sealed within a moment.
      if (error.code === UNFINISHED && this.#call.ended_ms !== null) this.#askAgainSoon();
      else if (error.code === UNFINISHED) this.#do(this.#clock?.handlePause(now()) ?? []);
    }
    this.#onChange();
  }

  #askAgainSoon() {
    clearTimeout(this.#listing);
    this.#listing = setTimeout(() => {
      this.#fetchList();
      this.#do(this.#clock?.handleRetry(now()) ?? []);
    }, LIST_AGAIN_MS);
  }

  /** @param {string} key @param {string} address */
  #show(key, address) {
    this.#unload(key);
    const video = h("video", {
      preload: "auto",
      playsinline: true,
      testid: "playback-video",
      "data-key": key,
    });
    video.muted = this.#muted.has(trackOf(key));
    this.#elements.set(key, video);
    const mine = () => this.#elements.get(key) === video;
    video.addEventListener("error", () => {
      if (!mine()) return;
      this.#files.delete(key);
      this.#do(this.#clock?.handleBroken(key, now()) ?? []);
    });
    for (const event of ["canplay", "seeked", "waiting", "ended"]) {
      video.addEventListener(event, () => mine() && this.#read());
    }
    if (typeof video.requestVideoFrameCallback === "function") {
      /** @type {VideoFrameRequestCallback} */
      const onFrame = (_, { mediaTime }) => {
        if (!mine()) return;
        video.requestVideoFrameCallback(onFrame);
        const steps = this.#clock?.state === "stepping";
        const outputs = this.#clock?.handleFrame(key, mediaTime, now()) ?? [];
        if (steps || outputs.length > 0) this.#do(outputs);
      };
      video.requestVideoFrameCallback(onFrame);
    }
    video.src = address;
  }

  /** @param {string} key */
  #unload(key) {
    const video = this.#elements.get(key);
    if (!video) return;
    this.#elements.delete(key);
    video.removeAttribute("src");
    video.load();
    video.remove();
  }

  // The clock.

  /** @param {Output[]} outputs */
  #do(outputs) {
    for (const output of outputs) {
      const video = this.#elements.get(output.key);
      switch (output.kind) {
        case "load":
          this.#load(output.key);
          break;
        case "unload":
          this.#unload(output.key);
          break;
        case "seek":
          if (video) video.currentTime = output.time_s;
          break;
        case "rate":
          if (video) video.playbackRate = output.rate;
          break;
        case "pause":
          video?.pause();
          break;
        case "play":
          if (!video) break;
          video.playbackRate = output.rate;
          video.play().catch((/** @type {DOMException} */ error) => {
            // Without a tap on this page there is no sound: whoever presses play has tapped.
            if (error.name === "NotAllowedError" && this.#clock) this.#do(this.#clock.handlePause(now()));
          });
          break;
      }
    }
    const stepping = this.#clock?.state === "stepping";
    for (const [key, video] of this.#elements) {
      const muted = stepping || this.#muted.has(trackOf(key));
      if (video.muted !== muted) video.muted = muted;
    }
    clearTimeout(this.#timer);
    const wait_s = (this.#clock?.nextDeadline ?? Infinity) - now();
    if (wait_s < Infinity) {
      const wake = () => this.#do(this.#clock?.handleTimeout(now()) ?? []);
      this.#timer = setTimeout(wake, Math.max(0, wait_s * 1000));
    }
    this.#draw();
  }

  #read() {
    if (!this.#clock) return;
    const readings = [...this.#elements].map(([key, video]) => ({
      key,
      time_s: video.currentTime,
      flowing: video.readyState >= HTMLMediaElement.HAVE_FUTURE_DATA,
      seeking: video.seeking,
      ended: video.ended,
    }));
    this.#do(this.#clock.handleReadings(readings, now()));
  }

  /** @param {1 | -1} direction */
  #step(direction) {
    const due = this.#clock?.due(this.#chosenTrack() ?? "", now());
    if (this.#clock && due) this.#do(this.#clock.handleStep(due.key, direction, now()));
  }

  /** @param {number} rate */
  #setRate(rate) {
    this.rate.value = String(rate);
    this.#do(this.#clock?.handleRate(rate, now()) ?? []);
  }

  /** @param {string | null} track */
  #mute(track) {
    if (track === null) return;
    if (!this.#muted.delete(track)) this.#muted.add(track);
    this.#do([]);
  }

  /** @param {string | null} track */
  #choose(track) {
    this.#chosen = track;
    this.#draw();
  }

  // What is seen.

  /** Everybody of whom there is something, or was, courier first. @returns {string[]} */
  #tracks() {
    const ids = new Set([
      ...(this.#call?.tracks ?? []).map(({ actor_id }) => actor_id),
      ...this.#recordings.map(({ actor_id }) => actor_id),
    ]);
    return [...ids].sort((one, other) => this.#order(one) - this.#order(other));
  }

  /** @param {string} actor_id */
  #order(actor_id) {
    return WEIGHT[this.#state?.known[actor_id]?.role ?? "system"];
  }

  #chosenTrack() {
    const tracks = this.#tracks();
    return this.#chosen !== null && tracks.includes(this.#chosen) ? this.#chosen : (tracks[0] ?? null);
  }

  /** @param {string} actor_id */
  #nameOf(actor_id) {
    const known = this.#state?.known[actor_id];
    const role = this.#words?.role[known?.role ?? "system"] ?? "";
    return [...new Set([role, known?.name ?? ""])].filter(Boolean).join(" ");
  }

  /** @param {string} testid @param {import("./dom.js").IconName} name @param {1 | -1} direction */
  #frameButton(testid, name, direction) {
    return h(
      "button",
      { class: "icon-button", type: "button", testid, on: { click: () => this.#step(direction) } },
      icon(name),
    );
  }

  #draw() {
    const [words, call] = [this.#words, this.#call];
    if (!words || !call) return;
    const { player } = words.desk;
    const clock = this.#clock;
    const at = now();
    const at_s = clock?.position(at) ?? 0;
    const whole_s = clock?.ended_s ?? (spanOf(call).ended_ms - call.began_ms) / 1000;
    const at_ms = call.began_ms + at_s * 1000;
    const state = clock?.state ?? "idle";
    set(this.element, "data-state", state);
    set(this.element, "data-list", this.#list);
    const nothing = this.#list === "there" && this.#recordings.length === 0;
    const wanted =
      state === "playing" || state === "waiting" || (state === "idle" && this.#plays_when_listed);
    const runs = wanted && !nothing;
    draw(this.playIcon, runs ? "pause" : "play");
    text(this.playWord, runs ? player.pause : player.play);
    this.play.disabled = nothing;
    this.back.disabled = this.on.disabled = state === "idle";
    const told = player.clock(
      clockTime(at_ms, this.#state?.case?.time_zone),
      fineClock(at_s),
      callClock(Math.round(whole_s)),
    );
    text(this.time, told);
    this.seek.move(at_ms, told);
    const gone = nothing && recordingErased(call.call_number, this.#state?.entries ?? []);
    const note = nothing
      ? gone
        ? player.nothing_erased
        : player.nothing
      : this.#list === "unreachable"
        ? player.unreachable
        : this.#list === "listing"
          ? player.listing
          : state === "idle"
            ? player.press_play
            : state === "ended" && call.ended_ms === null
              ? player.up_to_here
              : "";
    text(this.note, note);
    show(this.note, note !== "");
    const tracks = this.#tracks();
    set(this.tiles, "data-count", tracks.length);
    let failed = false;
    keyed(
      this.tiles,
      tracks,
      (track) => makeTile({ track, onChoose: () => this.#choose(track), onMute: () => this.#mute(track) }),
      (tile, track) => {
        failed = this.#drawTile(tile, track, at_ms, words) === "failed" || failed;
      },
    );
    show(this.again, failed);
    if (clock) this.#onCursor(at_ms);
  }

  /** @param {HTMLElement} tile @param {string} track @param {number} at_ms @param {Words} words */
  #drawTile(tile, track, at_ms, words) {
    const due = this.#clock?.due(track, now()) ?? null;
    const shown = (due && this.#elements.get(due.key)) ?? null;
    const state = tileState({
      due,
      lost: this.#isLost(track, at_ms),
      silent: shown !== null && shown.readyState >= HTMLMediaElement.HAVE_METADATA && shown.videoWidth === 0,
      unfinished: due !== null && this.#failures.get(due.key) === UNFINISHED,
    });
    const view = {
      state,
      name: this.#nameOf(track),
      chosen: track === this.#chosenTrack() && this.#tracks().length > 1,
      muted: this.#muted.has(track),
      idle: (this.#clock?.state ?? "idle") === "idle",
      videos: [...this.#elements].flatMap(([key, video]) => (trackOf(key) === track ? [video] : [])),
      shown,
    };
    drawTile(tile, view, words);
    return state;
  }

  /** @param {string} track @param {number} at_ms */
  #isLost(track, at_ms) {
    const holes = this.#call?.tracks.find(({ actor_id }) => actor_id === track)?.holes ?? [];
    return holes.some(({ began_ms, ended_ms }) => began_ms <= at_ms && at_ms < ended_ms);
  }
}

/** A mouse on a button leaves the keys where they were: space goes on to play and pause. @param {HTMLElement} element */
export function keepFocusAway(element) {
  element.addEventListener("mousedown", (event) => {
    if (event.target instanceof Element && event.target.closest("button")) event.preventDefault();
  });
}

/** @param {string} actor_id @param {number} part */
function keyOf(actor_id, part) {
  return `${actor_id} ${part}`;
}

/** @param {string} key */
function trackOf(key) {
  return key.slice(0, key.lastIndexOf(" "));
}

/** Minutes, seconds and hundredths: one picture is some of these. @param {number} seconds */
function fineClock(seconds) {
  const hundredths = Math.floor(seconds * 100);
  return `${callClock(Math.floor(hundredths / 100))}.${String(hundredths % 100).padStart(2, "0")}`;
}

function now() {
  return performance.now() / 1000;
}
