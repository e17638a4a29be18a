// @ts-check
/**
 * The line to write in, and what else can be said with a thumb: phrases, a photo, a voice note, a place. What is
 * written and not sent is there again after a reload.
 */

import { captureComplaint, photoInput } from "./attachment_picker.js";
import { timeOf } from "./capture.js";
import { h, icon, keyed, set, show, text } from "./dom.js";
import { PlaceDialog } from "./place_dialog.js";
import { TALK_WORDS } from "./talk_words.js";
import { remember, remembered } from "./token.js";
import { VoiceBar } from "./voice_bar.js";
import { wordOf } from "./wording.js";

/** @typedef {import("./capture.js").Captured} Captured */
/** @typedef {import("./protocol.js").Command} Command */

const MAX_TEXT_CHARACTERS = 2000; // PROTOCOL.md

export class Composer {
  #page;
  #role;
  #onCommand;
  #onOpen;
  #wording;
  #complaint = "";
  #open = false;

  /**
   * @param {{
   *   page: import("./language.js").PageLanguage, role: import("./protocol.js").Role, draft_key: string,
   *   wording: import("./wording.js").WordingSource,
   *   onCommand: (command: Command, files?: {sha256: string, bytes: ArrayBuffer}[]) => void,
   *   onOpen: (open: boolean) => void,
   * }} options draft_key: where the unsent text is kept; onOpen: the tools want the room above, or not any more
   */
  constructor({ page, role, draft_key, wording, onCommand, onOpen }) {
    this.#page = page;
    this.#role = role;
    this.#wording = wording;
    this.#onCommand = onCommand;
    this.#onOpen = onOpen;
    this.input = h("input", {
      class: "input",
      testid: "text-input",
      maxlength: MAX_TEXT_CHARACTERS,
      enterkeyhint: "send",
      autocomplete: "off",
      value: remembered(draft_key) ?? "",
    });
    this.input.addEventListener("input", () => {
      remember(draft_key, this.input.value || null);
      this.update();
    });
    this.sendWord = h("span", { class: "for-screen-readers" });
    this.send = h(
      "button",
      { class: "button is-accent send", testid: "text-send", type: "submit" },
      icon("send"),
      this.sendWord,
    );
    this.moreWord = h("span", { class: "for-screen-readers" });
    this.more = h(
      "button",
      {
        class: "icon-button",
        type: "button",
        testid: "talk-more",
        "aria-expanded": "false",
        on: { click: () => this.#toggle(!this.#open) },
      },
      icon("plus"),
      this.moreWord,
    );
    this.form = h("form", { class: "talk-form" }, this.more, this.input, this.send);
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      const said = this.input.value.trim();
      if (said === "") return;
      this.input.value = "";
      remember(draft_key, null);
      this.#say({ kind: "text", text: said, captured_at: timeOf() });
    });
    const camera = photoInput("camera", (photos) => this.#attach(photos));
    const album = photoInput("album", (photos) => this.#attach(photos));
    this.camera = tool("attach-photo", "camera", camera.open);
    this.album = tool("attach-album", "album", album.open);
    this.record = tool("record-voice", "microphone", () => this.#record());
    this.place = tool("share-place", "place", () => this.dialog.open());
    this.voice = new VoiceBar({
      page,
      onVoice: (note) => this.#attach([note]),
      onState: () => this.update(),
    });
    this.dialog = new PlaceDialog({
      page,
      onPlace: (place) => {
        this.#toggle(false);
        this.#say({ kind: "share_place", place, captured_at: timeOf() });
      },
    });
    this.phrases = h("ul", { class: "phrases", testid: "phrases" });
    this.noPhrases = h("p", { class: "quiet", hidden: true });
    this.tools = h(
      "div",
      { class: "talk-tools", testid: "talk-tools", hidden: true },
      h(
        "div",
        { class: "tool-row" },
        this.camera.button,
        this.album.button,
        this.record.button,
        this.place.button,
      ),
      this.phrases,
      this.noPhrases,
    );
    this.complaint = h("p", { class: "refusal", role: "alert", testid: "talk-complaint", hidden: true });
    this.element = h(
      "div",
      { class: "talk-composer", testid: "talk-composer" },
      camera.input,
      album.input,
      this.complaint,
      this.tools,
      this.voice.element,
      this.form,
      this.dialog.element,
    );
    this.element.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !this.#open || this.dialog.element.open) return;
      event.stopPropagation();
      this.#toggle(false);
      this.more.focus();
    });
  }

  /** Whether its tools want the room above. */
  get open() {
    return this.#open;
  }

  update() {
    const { language } = this.#page;
    const words = TALK_WORDS[language];
    set(this.input, "placeholder", words.write);
    set(this.input, "aria-label", words.write);
    text(this.sendWord, words.send);
    this.send.disabled = this.input.value.trim() === "";
    text(this.moreWord, this.#open ? words.less : words.more);
    set(this.more, "aria-expanded", String(this.#open));
    show(this.tools, this.#open && !this.voice.active);
    show(this.form, !this.voice.active);
    text(this.camera.label, words.camera);
    text(this.album.label, words.album);
    text(this.record.label, words.voice);
    text(this.place.label, words.place);
    show(this.place.button, this.#role !== "guest"); // whose place says nothing of the parcel
    this.voice.update(words.voice_send);
    const complaint = this.#complaint || this.voice.complaint;
    show(this.complaint, complaint !== "");
    text(this.complaint, complaint);
    this.dialog.update();
    set(this.phrases, "aria-label", words.phrases_title);
    show(this.noPhrases, this.#wording.current === null);
    text(this.noPhrases, words.phrases_unreachable);
    keyed(
      this.phrases,
      this.#wording.current?.rules.phrases[this.#role] ?? [],
      (phrase) => {
        const button = h("button", { class: "button phrase", type: "button", testid: "phrase" });
        set(button, "data-phrase", phrase);
        button.addEventListener("click", () => {
          this.#toggle(false);
          this.#say({ kind: "phrase", phrase, captured_at: timeOf() });
        });
        return h("li", {}, button);
      },
      (item, phrase) => text(/** @type {HTMLElement} */ (item.firstElementChild), this.phraseText(phrase)),
    );
  }

  /** @param {keyof import("./talk_words.js").TalkWords["capture"]} code */
  complain(code) {
    this.#complaint = TALK_WORDS[this.#page.language].capture[code];
    this.update();
  }

  /** @param {string} phrase */
  phraseText(phrase) {
    return wordOf(this.#wording.current, `phrase.${phrase}`, this.#page.language) || phrase;
  }

  /** @param {boolean} open */
  #toggle(open) {
    this.#open = open;
    this.#complaint = "";
    this.#onOpen(open);
    this.update();
  }

  async #record() {
    this.#complaint = "";
    await this.voice.start();
    this.update();
  }

  /** @param {Promise<Captured>[]} captures */
  async #attach(captures) {
    this.#complaint = "";
    for (const capture of captures) {
      try {
        const { attachment, bytes } = await capture;
        this.#say({ kind: "attach", attachment }, [{ sha256: attachment.sha256, bytes }]);
        this.#toggle(false);
      } catch (error) {
        this.#complaint = captureComplaint(error, TALK_WORDS[this.#page.language]);
      }
    }
    this.update();
    this.more.focus({ preventScroll: true });
  }

  /** @param {Command} command @param {{sha256: string, bytes: ArrayBuffer}[]} [files] */
  #say(command, files) {
    this.#onCommand(command, files);
    this.update();
  }
}

/** @param {string} testid @param {import("./dom.js").IconName} name @param {() => void} onClick */
function tool(testid, name, onClick) {
  const label = h("span");
  const button = h(
    "button",
    { class: "tool", type: "button", testid, on: { click: onClick } },
    icon(name),
    label,
  );
  return { button, label };
}
