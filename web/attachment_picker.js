// @ts-check
/**
 * Photos and voice notes for one entry: taken or chosen, shown, taken away again before anything is sent.
 *
 * Camera and album are told apart: what the camera button brings, but is older than the press, came from an album
 * (a desktop browser has no camera behind that button).
 */

import { attachmentOf, IllegalCapture } from "./capture.js";
import { h, icon, keyed, set, show, text } from "./dom.js";
import { TALK_WORDS } from "./talk_words.js";
import { VoiceBar } from "./voice_bar.js";

/** @typedef {import("./capture.js").Captured} Captured */

export const PHOTO_TYPES = "image/jpeg,image/png,image/webp"; // what the service takes
const CLOCK_SLACK_MS = 2000; // file systems keep times to two seconds at worst

/**
 * Whether a file was made by the camera that the press opened, or lay there before.
 * @param {{lastModified: number}} file
 * @param {number} pressed_at milliseconds since 1970
 * @returns {"camera" | "album"}
 */
export function pathOf(file, pressed_at) {
  return file.lastModified >= pressed_at - CLOCK_SLACK_MS ? "camera" : "album";
}

/**
 * A hidden input for photos, and how to open it.
 * @param {"camera" | "album"} path
 * @param {(photos: Promise<Captured>[]) => void} onPhotos each may reject with IllegalCapture
 */
export function photoInput(path, onPhotos) {
  let pressed_at = 0;
  const input = h("input", {
    type: "file",
    accept: PHOTO_TYPES,
    hidden: true,
    testid: `${path}-input`,
    ...(path === "camera" ? { capture: "environment" } : { multiple: true }),
  });
  input.addEventListener("change", () => {
    const files = Array.from(input.files ?? []);
    input.value = ""; // the same photo may be chosen again
    onPhotos(
      files.map((file) =>
        attachmentOf(file, "photo", path === "camera" ? pathOf(file, pressed_at) : "album"),
      ),
    );
  });
  const open = () => {
    pressed_at = Date.now();
    input.click();
  };
  return { input, open };
}

/** @param {unknown} error @param {import("./talk_words.js").TalkWords} words */
export function captureComplaint(error, words) {
  return error instanceof IllegalCapture ? words.capture[error.code] : words.capture.other;
}

export class AttachmentPicker {
  /** What has been taken, in that order. @type {Captured[]} */
  taken = [];
  #page;
  #max;
  #onChange;
  #complaint = "";
  /** Until all that was chosen has been read. @type {Promise<unknown>} */
  #taking = Promise.resolve();
  /** @type {Map<string, string>} */
  #addresses = new Map();

  /**
   * @param {{page: import("./language.js").PageLanguage, voice: boolean, max: number, onChange: () => void}} options
   *   voice: whether voice notes may be taken too
   */
  constructor({ page, voice, max, onChange }) {
    this.#page = page;
    this.#max = max;
    this.#onChange = onChange;
    const camera = photoInput("camera", (photos) => this.#take(photos));
    const album = photoInput("album", (photos) => this.#take(photos));
    this.camera = choice("picker-camera", "camera", camera.open);
    this.album = choice("picker-album", "album", album.open);
    this.record = choice("picker-voice", "microphone", () => this.voice?.start());
    this.voice = voice
      ? new VoiceBar({
          page,
          onVoice: (note) => this.#take([note]),
          onState: () => this.update(),
        })
      : null;
    this.list = h("ol", { class: "picked", testid: "picked" });
    this.complaint = h("p", { class: "refusal", role: "alert", testid: "picker-complaint", hidden: true });
    this.choices = h(
      "div",
      { class: "row" },
      this.camera.button,
      this.album.button,
      voice && this.record.button,
    );
    this.element = h(
      "div",
      { class: "picker", testid: "picker" },
      camera.input,
      album.input,
      this.list,
      this.choices,
      this.voice?.element,
      this.complaint,
    );
    this.update();
  }

  /** A voice note that is being recorded ends, and is among what was taken. */
  async settle() {
    if (this.voice?.recorder.state === "asking") this.voice.cancel();
    await this.voice?.finish();
    await this.#taking;
  }

  /** Drops all of it. */
  clear() {
    this.voice?.cancel();
    this.taken = [];
    for (const address of this.#addresses.values()) URL.revokeObjectURL(address);
    this.#addresses.clear();
    this.#complaint = "";
    this.#changed();
  }

  /** In the page's language of this moment. */
  update() {
    const words = TALK_WORDS[this.#page.language];
    text(this.camera.label, words.camera);
    text(this.album.label, words.album);
    text(this.record.label, words.voice);
    this.voice?.update(words.voice_take);
    const full = this.taken.length >= this.#max;
    for (const { button } of [this.camera, this.album, this.record]) button.disabled = full;
    show(this.choices, !this.voice?.active);
    const complaint = this.#complaint || this.voice?.complaint || "";
    show(this.complaint, complaint !== "");
    text(this.complaint, complaint);
    const taken = new Map(this.taken.map((captured) => [captured.attachment.sha256, captured]));
    show(this.list, taken.size > 0);
    keyed(
      this.list,
      [...taken.keys()],
      (key) => this.#item(key, taken.get(key)),
      (item, key) => {
        const place = [...taken.keys()].indexOf(key) + 1;
        const remove = /** @type {HTMLElement} */ (item.lastElementChild);
        const what = taken.get(key)?.attachment.medium === "voice" ? words.voice_note : words.photo;
        set(remove, "aria-label", words.take_away(what, place));
        const image = item.querySelector("img");
        if (image) set(image, "alt", `${words.photo} ${place}`);
        const label = item.querySelector(".picked-voice span");
        if (label) text(label, words.voice_note);
      },
    );
  }

  /** @param {string} key @param {Captured | undefined} captured */
  #item(key, captured) {
    const shown =
      captured?.attachment.medium === "photo"
        ? h("img", { alt: "", src: this.#address(key, captured) })
        : h("span", { class: "picked-voice" }, icon("microphone"), h("span"));
    const remove = h(
      "button",
      {
        class: "icon-button",
        type: "button",
        testid: "picker-remove",
        on: {
          click: () => {
            this.taken = this.taken.filter(({ attachment }) => attachment.sha256 !== key);
            const address = this.#addresses.get(key);
            if (address) URL.revokeObjectURL(address);
            this.#addresses.delete(key);
            this.#complaint = "";
            this.#changed();
            this.camera.button.focus(); // the button that had it is gone
          },
        },
      },
      icon("close"),
    );
    return h("li", { class: "picked-item", testid: "picked-item" }, shown, remove);
  }

  /** @param {string} key @param {Captured} captured */
  #address(key, { attachment, bytes }) {
    const address = URL.createObjectURL(new Blob([bytes], { type: attachment.media_type }));
    this.#addresses.set(key, address);
    return address;
  }

  /** @param {Promise<Captured>[]} captures */
  #take(captures) {
    this.#taking = Promise.all([this.#taking, this.#takeAll(captures)]);
  }

  /** @param {Promise<Captured>[]} captures */
  async #takeAll(captures) {
    const words = TALK_WORDS[this.#page.language];
    this.#complaint = "";
    for (const capture of captures) {
      try {
        const captured = await capture;
        const known = this.taken.some(({ attachment }) => attachment.sha256 === captured.attachment.sha256);
        if (known) continue; // the same bytes twice are one
        if (this.taken.length >= this.#max) this.#complaint = words.at_most(this.#max);
        else this.taken = [...this.taken, captured];
      } catch (error) {
        this.#complaint = captureComplaint(error, words);
      }
    }
    this.#changed();
  }

  #changed() {
    this.update();
    this.#onChange();
  }
}

/** @param {string} testid @param {import("./dom.js").IconName} name @param {() => void} onClick */
function choice(testid, name, onClick) {
  const label = h("span");
  const button = h(
    "button",
    { class: "button with-icon", type: "button", testid, on: { click: onClick } },
    icon(name),
    label,
  );
  return { button, label };
}
