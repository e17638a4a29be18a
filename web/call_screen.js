// @ts-check
/** In the call: the pictures, the shutter, and the conversation as a sheet. */

import { Conversation, lastLine } from "./conversation.js";
import { draw, h, icon, set, show, text } from "./dom.js";
import { networkBars, networkSentence } from "./network.js";
import { updateRefusal } from "./refusal.js";
import { nameOf } from "./sentences.js";
import { glimpse, Stage } from "./stage.js";
import { connection, isSharp } from "./state.js";

/** @typedef {import("./state.js").State} State */

export class CallScreen {
  #role;
  #page;
  #participation;
  #shots;
  #talk;
  #onChange;

  /**
   * @param {{
   *   role: "customer" | "courier" | "guest", page: import("./language.js").PageLanguage,
   *   participation: import("./call.js").Participation | null, shots: import("./shots.js").Shots,
   *   talk: import("./talk_view.js").TalkView, onChange: () => void,
   * }} options talk: moves into the sheet while that is open
   */
  constructor({ role, page, participation, shots, talk, onChange }) {
    this.#role = role;
    this.#page = page;
    this.#participation = participation;
    this.#shots = shots;
    this.#talk = talk;
    this.#onChange = onChange;
    this.stage = new Stage({ onTarget: onChange, roomy: false });
    this.strip = h("ol", { class: "strip", testid: "strip" });
    this.refusal = h("p", { class: "refusal", role: "alert", testid: "refusal", hidden: true });
    this.qualityWord = h("span");
    this.quality = h(
      "p",
      { class: "network", testid: "quality", role: "status" },
      networkBars(),
      this.qualityWord,
    );
    this.lastSaid = h("span", { class: "last-text" });
    this.sheetToggle = h(
      "button",
      {
        class: "last",
        type: "button",
        testid: "sheet-toggle",
        on: { click: () => this.openSheet(!this.sheet.open) },
      },
      this.lastSaid,
    );
    this.sheet = new Conversation({
      onClose: () => {
        this.openSheet(false);
        this.sheetToggle.focus();
      },
    });
    this.mute = control("mute", "microphone", () =>
      participation?.muteAudio(!participation.state.audio_muted),
    );
    this.flip = control("flip", "flip", () => participation?.camera.flip());
    this.write = control("write", "write", () => {
      this.openSheet(true);
      talk.composer.input.focus();
    });
    this.hangup = control("hangup", "hang_up", () => participation?.hangUp());
    this.shutter = h(
      "button",
      { class: "shutter", type: "button", testid: "shutter", on: { click: () => this.#press() } },
      h("span", { class: "shutter-ring" }),
    );
    this.sharpWord = h("span");
    this.sharp = h(
      "button",
      { class: "sharp", type: "button", testid: "sharp", hidden: true, on: { click: () => this.#sharpen() } },
      icon("sharp"),
      this.sharpWord,
    );
    this.line = h("div", { class: "dock-line" }, this.quality);
    this.element = h(
      "section",
      { class: "screen is-call", testid: "call" },
      this.stage.element,
      this.sharp,
      h(
        "div",
        { class: "dock" },
        this.strip,
        this.refusal,
        this.line,
        this.sheetToggle,
        h(
          "div",
          { class: "controls" },
          this.mute.button,
          this.flip.button,
          this.shutter,
          this.write.button,
          this.hangup.button,
        ),
      ),
      this.sheet.element,
    );
  }

  /** @param {boolean} open */
  openSheet(open) {
    this.sheet.set(open, this.#talk);
    set(this.sheetToggle, "aria-expanded", String(open));
    if (open) this.#onChange();
  }

  /** @param {boolean} possible */
  offerFlip(possible) {
    this.flip.button.disabled = !possible;
  }

  /** @param {State} state */
  update(state) {
    const { words } = this.#page;
    const now = connection(state);
    this.stage.update(state, words, {
      waiting: now === "connected" ? words[`alone_${this.#role}`] : words.connection[now],
    });
    const { target } = this.stage;
    this.shutter.disabled = target === null || now !== "connected";
    set(this.shutter, "data-of", target);
    const mine = target === state.you?.actor_id;
    const label =
      target === null
        ? words.shutter
        : mine
          ? words.shutter_of_you
          : words.shutter_of(nameOf(state, target, words));
    set(this.shutter, "aria-label", label);
    set(this.shutter, "title", label);
    this.#updateSharp(state, now === "connected" ? target : null);
    draw(this.mute.svg, state.audio_muted ? "microphone_off" : "microphone");
    text(this.mute.label, state.audio_muted ? words.unmute : words.mute);
    set(this.mute.button, "aria-pressed", String(state.audio_muted));
    text(this.flip.label, words.flip);
    text(this.write.label, words.write);
    text(this.hangup.label, words.hang_up);
    const told = now === "connected" ? networkSentence(state, words) : null;
    show(this.quality, told !== null);
    set(this.quality, "data-state", told?.network);
    set(this.quality, "data-of", told?.of);
    text(this.qualityWord, told?.sentence ?? "");
    text(this.lastSaid, lastLine(state, words));
    this.sheet.update(words);
    updateRefusal(this.refusal, state, words);
    this.#shots.update(this.strip, state, words, true);
  }

  /** @param {State} state @param {string | null} target whose picture is large */
  #updateSharp(state, target) {
    const { words } = this.#page;
    const mine = target === state.you?.actor_id;
    const shown = mine
      ? state.has_video
      : !state.people.find(({ actor_id }) => actor_id === target)?.video_muted;
    show(this.sharp, target !== null && shown);
    if (target === null) return;
    const on = isSharp(state, target);
    const label = mine ? words.sharp_of_you : words.sharp_of(nameOf(state, target, words));
    set(this.sharp, "aria-pressed", String(on));
    set(this.sharp, "title", label);
    text(this.sharpWord, on ? words.sharp_on : words.sharp);
  }

  #sharpen() {
    const { target } = this.stage;
    if (target !== null) this.#participation?.session.sharpen(target);
  }

  #press() {
    const { target } = this.stage;
    if (!this.#participation || target === null) return;
    const video = this.stage.videoOf(target);
    const picture = glimpse(video);
    const id = this.#participation.session.command({ kind: "take_frame", of: target });
    this.#shots.keep(this.strip, { id, of: target, picture, from: video });
  }
}

/** @param {string} testid @param {import("./dom.js").IconName} name @param {() => void} onClick */
function control(testid, name, onClick) {
  const svg = icon(name);
  const label = h("span");
  const button = h(
    "button",
    { class: "control", type: "button", testid, on: { click: onClick } },
    svg,
    label,
  );
  return { svg, label, button };
}
