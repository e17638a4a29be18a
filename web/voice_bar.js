// @ts-check
/** The line that stands in for the buttons while a voice note is recorded: level, length, drop it, take it. */

import { attachmentOf } from "./capture.js";
import { h, icon, set, show, text } from "./dom.js";
import { MAX_RECORDING_MS, Recorder } from "./recorder.js";
import { TALK_WORDS } from "./talk_words.js";
import { callClock } from "./words.js";

/** @typedef {import("./capture.js").Captured} Captured */

export class VoiceBar {
  #page;
  #onVoice;
  #onState;
  #shown = "idle";

  /**
   * @param {{
   *   page: import("./language.js").PageLanguage, onVoice: (voice: Promise<Captured>) => void,
   *   onState: () => void,
   * }} options onVoice: may reject with IllegalCapture; onState: it has begun, ended, or could not begin
   */
  constructor({ page, onVoice, onState }) {
    this.#page = page;
    this.#onVoice = onVoice;
    this.#onState = onState;
    this.recorder = new Recorder(() => this.#draw());
    this.bar = h("span", { class: "meter-bar" });
    this.word = h("span", { class: "voice-word", role: "status" });
    this.length = h("span", { class: "voice-length", testid: "voice-length" });
    this.dropLabel = h("span", { class: "for-screen-readers" });
    this.drop = h(
      "button",
      { class: "icon-button", type: "button", testid: "voice-cancel", on: { click: () => this.cancel() } },
      icon("close"),
      this.dropLabel,
    );
    this.take = h("button", {
      class: "button is-accent",
      type: "button",
      testid: "voice-send",
      on: { click: () => this.finish() },
    });
    this.element = h(
      "div",
      { class: "voice-bar", testid: "voice-bar", hidden: true },
      this.drop,
      this.word,
      h("span", { class: "meter-track" }, this.bar),
      this.length,
      this.take,
    );
    // Whatever hides it, search, a closed sheet, another screen: no microphone runs on unseen.
    new ResizeObserver(() => {
      if (this.element.getClientRects().length === 0) this.recorder.hold();
    }).observe(this.element);
  }

  get active() {
    return this.recorder.state !== "idle";
  }

  /** Why it could not begin, in words; "" if it could. */
  get complaint() {
    const { problem } = this.recorder;
    return problem === null ? "" : TALK_WORDS[this.#page.language].microphone[problem];
  }

  async start() {
    await this.recorder.start();
    if (this.active) this.take.focus();
  }

  /** What was said so far is dropped. */
  cancel() {
    this.recorder.cancel();
  }

  async finish() {
    const sound = await this.recorder.finish();
    if (sound) this.#onVoice(attachmentOf(sound, "voice", "microphone"));
  }

  #draw() {
    const { state } = this.recorder;
    show(this.element, this.active);
    this.bar.style.setProperty("--level", String(this.recorder.level));
    text(this.length, callClock(Math.floor(this.recorder.duration_ms / 1000)));
    if (state === this.#shown) return;
    this.#shown = state;
    this.update();
    this.#onState();
  }

  /** Its words, anew. @param {string} [take] what taking the note is called here */
  update(take) {
    const words = TALK_WORDS[this.#page.language];
    const { state } = this.recorder;
    set(this.element, "data-state", state);
    const held = state === "full" && this.recorder.duration_ms < MAX_RECORDING_MS;
    text(this.word, held ? words.recording.held : state === "idle" ? "" : words.recording[state]);
    text(this.dropLabel, words.voice_drop);
    if (take !== undefined) this.take.dataset.word = take;
    text(this.take, this.take.dataset.word ?? words.voice_take);
    this.take.disabled = state === "asking";
  }
}
