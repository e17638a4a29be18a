// @ts-check
/**
 * A voice note from the microphone: start, then finish or cancel. At the longest, or when its bar is out of sight, it
 * stops by itself and waits for one of the two; nothing that was said is lost.
 *
 *     idle ─ start ─► asking ─► recording ─ 10 min ─► full
 *       ▲                │          └── finish: the sound ──┘
 *       └──── cancel ────┴──────────────────────────────────┘
 */

import { cameraProblem, openMicrophone } from "./camera.js";
import { watchLevel } from "./microphone_level.js";

export const MAX_RECORDING_MS = 10 * 60 * 1000; // signaling/talk.py: ten minutes of voice have 8 MiB at most
const BITS_PER_SECOND = 48_000; // clear speech in Opus and in AAC
const TICK_MS = 200; // of the shown length

/** What a service that knows Opus and AAC can read, the smallest first. */
const TYPES = ["audio/webm;codecs=opus", "audio/ogg;codecs=opus", "audio/mp4"];

/** @typedef {"idle" | "asking" | "recording" | "full"} RecorderState */
/** @typedef {import("./camera.js").CameraProblem} MicrophoneProblem */

export class Recorder {
  /** @type {RecorderState} */
  state = "idle";
  /** Of the recording so far. */
  duration_ms = 0;
  /** 0 to 1, of this moment. */
  level = 0;
  /** Why the last start came to nothing. @type {MicrophoneProblem | null} */
  problem = null;
  #onChange;
  /** @type {MediaRecorder | null} */
  #recorder = null;
  /** @type {Blob[]} */
  #pieces = [];
  #began = 0;
  #attempt = 0;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #ticking;
  #unwatch = () => {};

  /** @param {() => void} onChange called whenever one of the fields has changed */
  constructor(onChange) {
    this.#onChange = onChange;
  }

  async start() {
    if (this.state !== "idle") return;
    const attempt = ++this.#attempt;
    this.#become("asking");
    this.problem = null;
    this.duration_ms = 0;
    let stream;
    try {
      if (typeof MediaRecorder === "undefined") throw new TypeError("no MediaRecorder");
      stream = await microphone();
    } catch (error) {
      if (attempt !== this.#attempt) return;
      const available = Boolean(navigator.mediaDevices) && typeof MediaRecorder !== "undefined";
      this.problem = cameraProblem(error, { secure: isSecureContext, available });
      this.#become("idle");
      return;
    }
    if (attempt !== this.#attempt) {
      for (const track of stream.getTracks()) track.stop(); // cancelled while the phone was asking
      return;
    }
    try {
      this.#record(stream);
    } catch {
      for (const track of stream.getTracks()) track.stop();
      this.problem = "other";
      this.#rest();
    }
  }

  /** Nobody sees any more that it records: the microphone is given back, and what was said waits. */
  hold() {
    if (this.state === "asking") this.cancel();
    else if (this.state === "recording" && this.#recorder) stopped(this.#recorder);
  }

  /** The sound, once; null if there is none. @returns {Promise<Blob | null>} */
  async finish() {
    const recorder = this.#recorder;
    if (!recorder || (this.state !== "recording" && this.state !== "full")) return null;
    await stopped(recorder);
    const pieces = this.#pieces;
    this.#rest();
    return pieces.some(({ size }) => size > 0) ? new Blob(pieces, { type: recorder.mimeType }) : null;
  }

  cancel() {
    if (this.state === "idle") return;
    this.#attempt++;
    if (this.#recorder) stopped(this.#recorder);
    this.#rest();
  }

  /** @param {MediaStream} stream */
  #record(stream) {
    const type = TYPES.find((name) => MediaRecorder.isTypeSupported(name));
    const recorder = new MediaRecorder(stream, {
      audioBitsPerSecond: BITS_PER_SECOND,
      ...(type && { mimeType: type }),
    });
    /** @type {Blob[]} */
    const pieces = [];
    this.#recorder = recorder;
    this.#pieces = pieces;
    this.#began = performance.now();
    recorder.addEventListener("dataavailable", ({ data }) => pieces.push(data));
    // Also when the phone takes the microphone away, for a call: what was said until then stays.
    recorder.addEventListener("stop", () => {
      for (const track of stream.getTracks()) track.stop();
      if (this.#recorder === recorder && this.state === "recording") this.#fill();
    });
    recorder.start();
    const [track] = stream.getAudioTracks();
    if (track)
      this.#unwatch = watchLevel(track, (level) => {
        this.level = level ?? 0;
        this.#onChange();
      });
    this.#ticking = setInterval(() => this.#tick(), TICK_MS);
    this.#become("recording");
  }

  #tick() {
    this.duration_ms = Math.min(MAX_RECORDING_MS, Math.round(performance.now() - this.#began));
    if (this.duration_ms >= MAX_RECORDING_MS && this.#recorder) stopped(this.#recorder);
    this.#onChange();
  }

  #fill() {
    this.#quiet();
    this.#become("full");
  }

  #rest() {
    this.#quiet();
    this.#recorder = null;
    this.#pieces = [];
    this.#become("idle");
  }

  #quiet() {
    clearInterval(this.#ticking);
    this.#unwatch();
    this.#unwatch = () => {};
    this.level = 0;
  }

  /** @param {RecorderState} state */
  #become(state) {
    this.state = state;
    this.#onChange();
  }
}

/** Beside a call its own microphone, heard also while it is muted there. @returns {Promise<MediaStream>} */
async function microphone() {
  const open = openMicrophone();
  if (open === null) {
    return navigator.mediaDevices.getUserMedia({
      audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true },
    });
  }
  const track = open.clone();
  track.enabled = true;
  return new MediaStream([track]);
}

/** @param {MediaRecorder} recorder @returns {Promise<void>} */
function stopped(recorder) {
  if (recorder.state === "inactive") return Promise.resolve();
  return new Promise((resolve) => {
    recorder.addEventListener("stop", () => resolve(), { once: true });
    recorder.stop();
  });
}
