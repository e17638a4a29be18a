// @ts-check
/** The photos of one entry, small, in a row: a tap shows one large. */

import { h, keyed, show } from "./dom.js";
import { AttachmentView } from "./talk_attachment.js";
import { TALK_WORDS } from "./talk_words.js";

/** @typedef {import("./protocol.js").Attachment} Attachment */
/** @typedef {import("./state.js").State} State */

export class EntryPhotos {
  #page;
  #means;
  /** By number and hash. @type {Map<string, AttachmentView>} */
  #views = new Map();

  /** @param {{page: import("./language.js").PageLanguage, means: import("./talk_attachment.js").Means}} options */
  constructor({ page, means }) {
    this.#page = page;
    this.#means = means;
    this.element = h("div", { class: "entry-photos", testid: "entry-photos", hidden: true });
  }

  /** @param {State} state @param {{number: number, attachments: readonly Attachment[]} | null} entry whose photos; null: none */
  update(state, entry) {
    const photos = (entry?.attachments ?? []).filter(({ medium }) => medium === "photo");
    const number = entry?.number ?? 0;
    const byKey = new Map(photos.map((photo) => [`${number} ${photo.sha256}`, photo]));
    for (const key of this.#views.keys()) if (!byKey.has(key)) this.#views.delete(key);
    for (const [key, photo] of byKey) {
      if (!this.#views.has(key)) this.#views.set(key, new AttachmentView(photo, number, this.#means));
    }
    const actor_id = state.entries[number - 1]?.envelope.actor_id ?? "";
    const { language, words } = this.#page;
    show(this.element, photos.length > 0);
    keyed(
      this.element,
      [...byKey.keys()],
      (key) => this.#views.get(key)?.element ?? h("div"),
      (_, key) => this.#views.get(key)?.update(state, actor_id, TALK_WORDS[language], words),
    );
  }
}
