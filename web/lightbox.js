// @ts-check
/** One sealed picture over the whole page, with its number, time and hash, and a copy of it to keep. */

import { CopyButton } from "./copy_button.js";
import { h, icon, set, text } from "./dom.js";
import { blobOf } from "./evidence.js";
import { nameOf } from "./sentences.js";
import { clockTime, shortHash } from "./words.js";

export class Lightbox {
  /** @type {number | null} */
  #number = null;
  #pictures;

  /** @param {import("./pictures.js").Pictures} pictures */
  constructor(pictures) {
    this.#pictures = pictures;
    this.image = h("img", { class: "lightbox-image", testid: "frame-image", alt: "" });
    this.title = h("p", { class: "lightbox-title" });
    this.hash = h("button", { class: "hash", type: "button", testid: "frame-hash" });
    this.hash.addEventListener("click", () => {
      const whole = this.hash.dataset.whole ?? "";
      text(this.hash, this.hash.textContent === whole ? shortHash(whole) : whole);
    });
    this.save = new CopyButton((sha256) => pictures.copy(sha256), "credentials-save");
    this.close = h(
      "button",
      { class: "icon-button", type: "button", testid: "lightbox-close" },
      icon("close"),
    );
    this.element = h(
      "dialog",
      { class: "lightbox", testid: "lightbox" },
      h("header", { class: "lightbox-head" }, this.title, this.close),
      this.image,
      h("footer", { class: "lightbox-foot" }, this.hash, this.save.element),
    );
    this.close.addEventListener("click", () => this.element.close());
    this.element.addEventListener("close", () => {
      this.#number = null;
    });
  }

  /**
   * A photo that somebody sent, which is here already.
   * @param {{address: string, alt: string, note: string, sha256: string, stored: boolean}} photo
   * @param {import("./words.js").Words} words
   */
  openPhoto({ address, alt, note, sha256, stored }, words) {
    this.#number = null;
    const name = `proofcall-${sha256.slice(0, 8)}.jpg`;
    this.save.offer(stored ? { sha256, name } : null, words.credentials);
    set(this.close, "aria-label", words.close);
    text(this.title, [alt, note].filter(Boolean).join(" · "));
    this.hash.dataset.whole = sha256;
    text(this.hash, shortHash(sha256));
    set(this.hash, "title", words.desk.hash_hint);
    set(this.image, "src", address);
    set(this.image, "alt", alt);
    this.element.showModal();
  }

  /**
   * @param {import("./protocol.js").Entry} entry
   * @param {import("./state.js").State} state
   * @param {import("./words.js").Words} words
   */
  async open(entry, state, words) {
    const blob = blobOf(entry.body);
    if (!blob) return;
    const { number, recorded_at } = entry.envelope;
    this.#number = number;
    this.save.offer({ sha256: blob.sha256, name: `proofcall-${number}.jpg` }, words.credentials);
    set(this.close, "aria-label", words.close);
    text(this.title, words.sealed(clockTime(recorded_at, state.case?.time_zone), number));
    this.hash.dataset.whole = blob.sha256;
    text(this.hash, shortHash(blob.sha256));
    set(this.hash, "title", words.desk.hash_hint);
    set(this.image, "src", null);
    set(this.image, "alt", words.picture_of(nameOf(state, entry.body?.of, words)));
    this.element.showModal();
    try {
      const { address } = await this.#pictures.get(blob);
      if (this.#number === number) set(this.image, "src", address);
    } catch {
      if (this.#number === number) text(this.title, words.desk.picture_failed);
    }
  }
}
