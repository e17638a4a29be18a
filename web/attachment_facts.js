// @ts-check
/** The photos and voice notes of the chosen entry: shown and played, and the original as sealed to take along. */

import { CopyButton } from "./copy_button.js";
import { credentialsSentences, saveFile } from "./credentials.js";
import { h, keyed, set, show, text } from "./dom.js";
import { attachmentErased } from "./erasure.js";
import { ORDERS_WORDS } from "./orders_words.js";
import { attachmentState, attachmentsOf } from "./talk.js";
import { fullTime, megabytes, shortHash } from "./words.js";

/** @typedef {import("./protocol.js").Entry} Entry */
/** @typedef {import("./protocol.js").Attachment} Attachment */
/** @typedef {import("./state.js").State} State */
/** @typedef {{entry: Entry, attachment: Attachment}} Announced the entry that named it */

const ENDINGS = Object.freeze({
  "image/jpeg": "jpg",
  "image/png": "png",
  "image/webp": "webp",
  "image/heic": "heic",
  "audio/mp4": "m4a",
  "audio/webm": "webm",
  "audio/ogg": "ogg",
  "audio/mpeg": "mp3",
});

/**
 * What the chosen entry has attached, or settles: `attachment_stored` shows what it stored. Pure.
 * @param {Entry | null} entry
 * @param {readonly Entry[]} entries
 * @returns {Announced[]}
 */
export function announcedBy(entry, entries) {
  if (!entry?.body) return [];
  if (entry.envelope.kind.startsWith("attachment_")) {
    const { number, sha256 } = entry.body;
    const announcing = entries[number - 1];
    return announcedBy(announcing ?? null, []).filter(({ attachment }) => attachment.sha256 === sha256);
  }
  return attachmentsOf(entry.body).map((attachment) => ({ entry, attachment }));
}

/** @param {string} media_type */
export function endingOf(media_type) {
  return ENDINGS[/** @type {"image/jpeg"} */ (media_type)] ?? "bin";
}

export class AttachmentFacts {
  #page;
  #api;
  #case_id;
  #pictures;
  #redraw;
  /** What has come, by the hash of what is shown. @type {Map<string, {address: string} | "loading" | "failed">} */
  #loaded = new Map();
  /** By the element of each. @type {WeakMap<HTMLElement, CopyButton>} */
  #copies = new WeakMap();

  /**
   * @param {{
   *   page: import("./language.js").PageLanguage, api: import("./api.js").Api, case_id: string,
   *   pictures: import("./pictures.js").Pictures, onChange: () => void,
   * }} options
   */
  constructor({ page, api, case_id, pictures, onChange }) {
    this.#page = page;
    this.#api = api;
    this.#case_id = case_id;
    this.#pictures = pictures;
    this.#redraw = onChange;
    this.element = h("div", { class: "attachments", testid: "attachments", hidden: true });
  }

  /** What failed is asked for once more. */
  choose() {
    for (const [hash, state] of this.#loaded) if (state === "failed") this.#loaded.delete(hash);
  }

  /** @param {Entry | null} entry @param {State} state */
  update(entry, state) {
    const announced = new Map(
      announcedBy(entry, state.entries).map((one) => [
        `${one.entry.envelope.number} ${one.attachment.sha256}`,
        one,
      ]),
    );
    show(this.element, announced.size > 0);
    keyed(
      this.element,
      [...announced.keys()],
      (key) => this.#make(/** @type {Announced} */ (announced.get(key))),
      (item, key) => this.#update(item, /** @type {Announced} */ (announced.get(key)), state),
    );
  }

  /** @param {Announced} announced */
  #make({ attachment }) {
    const media =
      attachment.medium === "photo"
        ? h("img", { class: "attachment-photo", testid: "attachment-photo", alt: "" })
        : h("audio", { class: "attachment-voice", testid: "attachment-voice", controls: true });
    const hash = (/** @type {string} */ name) => {
      const value = h("button", { class: "hash", type: "button", testid: `attachment-${name}` });
      value.addEventListener("click", () => {
        const whole = value.dataset.whole ?? "";
        text(value, value.textContent === whole ? shortHash(whole) : whole);
      });
      return h("div", { class: "facts-row", "data-part": name }, h("dt"), h("dd", {}, value));
    };
    const copy = new CopyButton((sha256) => this.#pictures.copy(sha256), "attachment-credentials");
    const item = h(
      "figure",
      { class: "attachment", "data-medium": attachment.medium },
      media,
      h("figcaption", { class: "quiet" }),
      h("dl", { class: "facts-list" }, hash("claimed"), hash("original"), hash("shown")),
      h("button", { class: "button", type: "button", testid: "attachment-save" }),
      copy.element,
    );
    this.#copies.set(item, copy);
    return item;
  }

  /** @param {HTMLElement} item @param {Announced} announced @param {State} state */
  #update(item, { entry, attachment }, state) {
    const { language, words: all } = this.#page;
    const words = ORDERS_WORDS[language];
    const settled = attachmentState(state.talk, entry.envelope.number, attachment.sha256);
    const [media, note, list, save] = /** @type {HTMLElement[]} */ (Array.from(item.children));
    if (!media || !note || !list || !save) return;
    const stored = settled.stored;
    const loaded = stored ? this.#load(stored.shown) : undefined;
    const gone = settled.state === "announced" && attachmentErased(entry.envelope.number, state.entries);
    const standing = gone ? "erased" : settled.state;
    set(item, "data-state", standing);
    const ready = typeof loaded === "object";
    show(media, ready);
    if (ready) set(media, "src", loaded.address);
    set(media, attachment.medium === "photo" ? "alt" : "aria-label", words[attachment.medium]);
    const told = [
      words[attachment.medium],
      words.attachment[standing],
      megabytes(stored?.original.size_bytes ?? attachment.size_bytes),
      stored?.width ? `${stored.width} × ${stored.height}` : "",
      stored?.duration_ms ? `${(stored.duration_ms / 1000).toFixed(1)} s` : "",
      words.captured_claim(fullTime(attachment.captured_at, state.case?.time_zone)),
      settled.refused?.message ?? "",
      loaded === "failed" ? words.attachment_failed : loaded === "loading" ? words.attachment_loading : "",
    ];
    const zone = state.case?.time_zone;
    const brought = credentialsSentences(stored?.credentials, all.credentials, (time) =>
      fullTime(time, zone),
    );
    text(note, [told.filter(Boolean).join(" · "), brought].filter(Boolean).join(all.full_stop));
    const hashes = {
      claimed: attachment.sha256,
      original: stored?.original.sha256,
      shown: stored?.shown.sha256,
    };
    for (const row of /** @type {HTMLElement[]} */ (Array.from(list.children))) {
      const part = /** @type {"claimed" | "original" | "shown"} */ (row.dataset.part);
      const whole = hashes[part];
      show(row, whole !== undefined);
      if (whole === undefined) continue;
      text(/** @type {Element} */ (row.firstElementChild), words[`${part}_hash`]);
      const value = /** @type {HTMLElement} */ (row.querySelector("button"));
      set(value, "title", all.desk.hash_hint);
      value.dataset.whole = whole;
      if (value.textContent === "") text(value, shortHash(whole));
    }
    show(save, stored !== null);
    text(save, words.original);
    save.onclick = () => stored && this.#save(stored, state);
    const name = `${state.case?.waybill ?? "case"}-${stored?.number}-c2pa.jpg`;
    const kept = stored && attachment.medium === "photo" ? { sha256: stored.shown.sha256, name } : null;
    this.#copies.get(item)?.offer(kept, all.credentials);
  }

  /** @param {import("./protocol.js").BlobReference} blob */
  #load(blob) {
    const known = this.#loaded.get(blob.sha256);
    if (known) return known;
    this.#loaded.set(blob.sha256, "loading");
    this.#pictures
      .get(blob)
      .then(({ address }) => this.#loaded.set(blob.sha256, { address }))
      .catch(() => this.#loaded.set(blob.sha256, "failed"))
      .finally(() => this.#redraw());
    return "loading";
  }

  /** @param {import("./talk.js").Stored} stored @param {State} state */
  async #save({ number, original }, state) {
    try {
      const bytes = await this.#api.blob(this.#case_id, original.sha256);
      const name = `${state.case?.waybill ?? "case"}-${number}-${original.sha256.slice(0, 8)}`;
      saveFile(bytes, original.media_type, `${name}.${endingOf(original.media_type)}`);
    } catch {
      this.#loaded.set(original.sha256, "failed");
      this.#redraw();
    }
  }
}
