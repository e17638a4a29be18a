// @ts-check
/**
 * A photo or a voice note in the conversation: announced, on its way, there, or refused with the reason. Its own
 * sender sees it at once, from what waits to be sent.
 */

import { credentialsNote } from "./credentials.js";
import { draw, h, icon, set, show, text } from "./dom.js";
import { attachmentErased } from "./erasure.js";
import { nameOf } from "./sentences.js";
import { attachmentState } from "./talk.js";
import { callClock } from "./words.js";

/** @typedef {import("./protocol.js").Attachment} Attachment */
/** @typedef {import("./state.js").State} State */
/** @typedef {import("./talk_words.js").TalkWords} TalkWords */

/**
 * What they are shown with.
 * @typedef {{
 *   pictures: import("./pictures.js").Pictures, player: import("./voice_player.js").VoicePlayer,
 *   bytesOf: (sha256: string) => Promise<ArrayBuffer | null>, onPhoto: (photo: Photo) => void,
 * }} Means
 */
/** @typedef {{address: string, alt: string, note: string, sha256: string, stored: boolean}} Photo stored: the service has it, not this device alone */

const BARS = 32; // of a waveform that has no more room than a thumb is wide
const FLAT = Array.from({ length: BARS }, () => 8);

export class AttachmentView {
  #means;
  #attachment;
  #number;
  #address = "";
  /** Of what waits to be sent; those of stored photos belong to `pictures`. */
  #own_address = "";
  #near = false;
  /** Whether there may be a preview of it on this device. */
  #mine = false;
  #asked = "";
  #failed = false;
  #photo = { alt: "", note: "" };
  /** @type {number[]} */
  #bars = [];
  /** What everybody is shown, once it is stored. @type {import("./protocol.js").BlobReference | null} */
  #blob = null;

  /** @param {Attachment} attachment @param {number | null} number of its entry; null: it waits to be sent @param {Means} means */
  constructor(attachment, number, means) {
    this.#attachment = attachment;
    this.#number = number;
    this.#means = means;
    this.note = h("span", { class: "attachment-note" });
    if (attachment.medium === "photo") {
      this.image = h("img", { class: "photo-image", alt: "", hidden: true, decoding: "async" });
      this.image.addEventListener("error", () => this.#fail());
      this.button = h(
        "button",
        { class: "photo", type: "button", testid: "photo", on: { click: () => this.#press() } },
        icon("album"),
        this.image,
      );
    } else {
      this.symbol = icon("play");
      this.wave = h("span", { class: "wave", "aria-hidden": "true" });
      this.length = h("span", { class: "voice-length" });
      this.button = h(
        "button",
        { class: "voice", type: "button", testid: "voice", on: { click: () => this.#press() } },
        this.symbol,
        this.wave,
        this.length,
      );
    }
    this.element = h(
      "div",
      { class: "attachment", testid: "attachment", "data-medium": attachment.medium },
      this.button,
      this.note,
    );
  }

  /** Its row comes near the view: a long conversation need not load all of its photos. */
  approach() {
    if (this.#near) return;
    this.#near = true;
    this.#look();
  }

  /** Its row is gone. */
  release() {
    if (this.#own_address !== "") URL.revokeObjectURL(this.#own_address);
    this.#own_address = "";
    this.#asked = "released";
  }

  /** @param {State} state @param {string} actor_id who sent it @param {TalkWords} words @param {import("./words.js").Words} names */
  update(state, actor_id, words, names) {
    const { medium, sha256, capture_path } = this.#attachment;
    const settled = this.#number === null ? null : attachmentState(state.talk, this.#number, sha256);
    const gone =
      settled?.state === "announced" &&
      this.#number !== null &&
      attachmentErased(this.#number, state.entries);
    const stage = gone ? "erased" : (settled?.state ?? "announced");
    this.#blob = settled?.stored?.shown ?? null;
    const name = nameOf(state, actor_id, names);
    set(this.element, "data-state", stage);
    const mine = actor_id === state.you?.actor_id;
    const upload = mine ? state.uploads[sha256] : undefined;
    const percent = upload ? Math.floor((100 * upload.sent_bytes) / Math.max(1, upload.size_bytes)) : null;
    let note = "";
    if (settled?.refused) {
      const because = words.refused_because;
      const reason = /** @type {keyof typeof because} */ (
        settled.refused.reason in because ? settled.refused.reason : "other"
      );
      const say = medium === "photo" ? words.refused_photo : words.refused_voice;
      note = say(because[reason]);
    } else if (gone) {
      note = medium === "photo" ? words.photo_erased : words.voice_erased;
    } else if (stage === "announced") {
      if (upload?.failed) note = failureWords(upload.failed.code, state.durable, words);
      else if (percent !== null) note = words.sent_part(percent);
      else if (!mine) note = medium === "photo" ? words.photo_coming : words.voice_coming;
    } else if (medium === "photo") {
      note = capture_path === "camera" ? words.from_camera : words.from_album;
      const brought = credentialsNote(settled?.stored?.credentials, names.credentials);
      if (brought !== "") note = `${note} · ${brought}`;
    }
    if (this.#failed) note = medium === "photo" ? words.photo_failed : words.voice_failed;
    text(this.note, note);
    show(this.note, note !== "");
    show(this.button, stage !== "refused");
    if (medium === "photo") this.#updatePhoto(settled, mine, words, words.photo_from(name), names.full_stop);
    else this.#updateVoice(settled, words, name);
  }

  /** @param {import("./talk.js").AttachmentState | null} settled @param {boolean} mine @param {TalkWords} words @param {string} alt @param {string} full_stop */
  #updatePhoto(settled, mine, words, alt, full_stop) {
    if (!this.image) return;
    set(this.image, "alt", alt);
    set(this.button, "aria-label", [alt, words.photo_open].join(full_stop));
    this.#photo = { alt, note: this.note.textContent ?? "" };
    this.button.disabled = this.#address === "" && !this.#failed;
    if (this.#failed) return;
    this.#mine = mine && settled?.state !== "refused";
    this.#look();
  }

  /** Loads what there is to see, once it is near. */
  #look() {
    if (!this.#near || !this.image || this.#failed || this.#asked === "released") return;
    if (this.#blob) this.#load(this.#blob);
    else if (this.#mine) this.#preview();
  }

  /** @param {import("./talk.js").AttachmentState | null} settled @param {TalkWords} words @param {string} name */
  #updateVoice(settled, words, name) {
    if (!this.wave || !this.length || !this.symbol) return;
    const stored = settled?.stored;
    const key = this.#key;
    const { player } = this.#means;
    const whole_ms = stored?.duration_ms ?? 0;
    const length = callClock(Math.round(whole_ms / 1000));
    const playing = player.playing(key);
    this.button.disabled = !stored;
    this.#failed = player.failed === key;
    draw(this.symbol, playing ? "pause" : "play");
    set(
      this.button,
      "aria-label",
      playing ? `${words.voice_pause}, ${length}` : words.voice_play(name, length),
    );
    set(this.button, "data-playing", playing);
    text(this.length, stored ? length : "");
    const bars = stored && stored.waveform.length > 0 ? shorten(stored.waveform, BARS) : FLAT;
    if (this.#bars.join() !== bars.join()) {
      this.#bars = bars;
      this.wave.replaceChildren(
        ...bars.map((loud) => {
          const bar = h("span", { class: "wave-bar" });
          bar.style.setProperty("--loud", String(Math.max(4, loud)));
          return bar;
        }),
      );
    }
    const come = player.progress(key, whole_ms) * bars.length;
    for (const [index, bar] of Array.from(this.wave.children).entries())
      set(bar, "data-played", index < come);
  }

  get #key() {
    return `${this.#number} ${this.#attachment.sha256}`;
  }

  #press() {
    if (this.#attachment.medium === "voice") {
      if (this.#blob) this.#means.player.toggle(this.#key, this.#blob);
      return;
    }
    if (this.#failed) {
      this.#failed = false;
      this.#asked = "";
      if (this.#blob) this.#load(this.#blob);
    } else if (this.#address !== "") {
      const { sha256 } = this.#blob ?? this.#attachment;
      const stored = this.#blob !== null;
      this.#means.onPhoto({ address: this.#address, sha256, stored, ...this.#photo });
    }
  }

  /** @param {import("./protocol.js").BlobReference} blob */
  #load(blob) {
    if (this.#asked === blob.sha256) return;
    this.#asked = blob.sha256;
    this.#means.pictures.get(blob).then(
      ({ address }) => this.#show(address),
      () => this.#fail(),
    );
  }

  async #preview() {
    const { sha256, media_type } = this.#attachment;
    if (this.#asked !== "") return;
    this.#asked = "own";
    const bytes = await this.#means.bytesOf(sha256);
    if (bytes === null || this.#asked !== "own") return;
    this.#own_address = URL.createObjectURL(new Blob([bytes], { type: media_type }));
    this.#show(this.#own_address);
  }

  /** @param {string} address */
  #show(address) {
    if (!this.image || this.#asked === "released") return;
    this.#address = address;
    set(this.image, "src", address);
    show(this.image, true);
    this.button.disabled = false;
    if (this.#own_address !== "" && this.#own_address !== address) {
      URL.revokeObjectURL(this.#own_address);
      this.#own_address = "";
    }
  }

  #fail() {
    this.#failed = true;
    this.button.disabled = false;
    if (this.image) show(this.image, false);
  }
}

/** The service's final word: asking again by itself brings nothing. */
const NOT_TAKEN = ["malformed_upload", "unknown_attachment", "http_413"];

/**
 * Why bytes were not sent, and what to do: never to load the page again where it has the only copy.
 * @param {string} code
 * @param {boolean} durable
 * @param {TalkWords} words
 */
export function failureWords(code, durable, words) {
  if (code === "bytes_gone") return words.upload_gone;
  if (NOT_TAKEN.includes(code)) return words.upload_not_taken;
  return durable ? words.upload_failed : words.upload_failed_here;
}

/** As many bars, each the loudest of its part. @param {readonly number[]} waveform @param {number} count @returns {number[]} */
export function shorten(waveform, count) {
  const bars = Math.min(count, waveform.length);
  return Array.from({ length: bars }, (_, index) => {
    const from = Math.floor((index * waveform.length) / bars);
    const to = Math.max(from + 1, Math.floor(((index + 1) * waveform.length) / bars));
    return Math.max(...waveform.slice(from, to));
  });
}
