// @ts-check
/** Short sounds that call for somebody's eyes, made by the page itself; they need a touch of the page before. */

const RING_EVERY_MS = 2500; // as telephones do: a second of sound, a pause
const VOLUME = 0.2; // of 1: heard in a street, no fright in a lift

const KEY = "proofcall.sounds"; // the switch, of this device

/** What each of them plays: the pitch in hertz, its begin and its length in seconds. */
const TUNES = Object.freeze({
  message: [[784, 0, 0.1]],
  notice: [
    [660, 0, 0.12],
    [880, 0.15, 0.2],
  ],
  answer: [
    [784, 0, 0.12],
    [1047, 0.15, 0.12],
    [784, 0.3, 0.2],
  ],
  decision: [
    [587, 0, 0.18],
    [587, 0.28, 0.18],
    [880, 0.56, 0.3],
  ],
  order: [
    [659, 0, 0.18],
    [988, 0.18, 0.18],
  ],
  ring: [
    [740, 0, 0.4],
    [932, 0.45, 0.4],
  ],
});

/** @typedef {keyof typeof TUNES} Sound */

export class Sounds {
  /** @type {AudioContext | null} */
  #context = null;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #ringing;

  constructor() {
    // Browsers let a page sound only after it was touched: any touch will do.
    for (const event of ["pointerdown", "keydown"]) addEventListener(event, () => this.#wake());
  }

  /** Whether anything sounds on this device. */
  get on() {
    try {
      return localStorage.getItem(KEY) !== "off";
    } catch {
      return true;
    }
  }

  set on(on) {
    try {
      localStorage.setItem(KEY, on ? "on" : "off");
    } catch {
      // it stays as it was
    }
  }

  /** @param {Sound} sound */
  play(sound) {
    if (!this.on) return;
    navigator.vibrate?.(sound === "ring" ? [400, 200, 400] : sound === "message" ? 60 : 200);
    const context = this.#wake();
    if (context?.state !== "running") return;
    for (const [pitch = 0, begin = 0, length = 0] of TUNES[sound]) tone(context, pitch, begin, length);
  }

  /** Rings until it is told to stop. @param {boolean} ringing */
  ring(ringing) {
    if (ringing === (this.#ringing !== undefined)) return;
    clearInterval(this.#ringing);
    this.#ringing = undefined;
    if (!ringing) return;
    this.play("ring");
    this.#ringing = setInterval(() => this.play("ring"), RING_EVERY_MS);
  }

  #wake() {
    if (typeof AudioContext === "undefined") return null;
    this.#context ??= new AudioContext();
    // After a telephone call, iOS says "interrupted".
    if (this.#context.state !== "running") this.#context.resume().catch(() => {});
    return this.#context;
  }
}

/** A tone with soft edges: hard ones click. @param {AudioContext} context @param {number} pitch @param {number} begin @param {number} length */
function tone(context, pitch, begin, length) {
  const [from, to] = [context.currentTime + begin, context.currentTime + begin + length];
  const oscillator = context.createOscillator();
  const gain = context.createGain();
  oscillator.frequency.value = pitch;
  gain.gain.setValueAtTime(0, from);
  gain.gain.linearRampToValueAtTime(VOLUME, from + 0.02);
  gain.gain.setValueAtTime(VOLUME, Math.max(from + 0.02, to - 0.05));
  gain.gain.linearRampToValueAtTime(0, to);
  oscillator.connect(gain).connect(context.destination);
  oscillator.start(from);
  oscillator.stop(to);
}
