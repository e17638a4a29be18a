// @ts-check
/** Who has a message, and who has read it: a line a person. */

import { h, icon, set, text } from "./dom.js";
import { nameOf } from "./sentences.js";
import { reachOf } from "./talk_items.js";
import { TALK_WORDS } from "./talk_words.js";

/** @typedef {import("./state.js").State} State */

export class ReachDialog {
  #page;
  /** @type {import("./protocol.js").Entry | null} */
  #entry = null;

  /** @param {{page: import("./language.js").PageLanguage}} options */
  constructor({ page }) {
    this.#page = page;
    this.title = h("h2", { id: "reach-title" });
    this.list = h("ul", { class: "reach", testid: "reach" });
    this.close = h("button", {
      class: "button",
      type: "button",
      testid: "reach-close",
      on: { click: () => this.element.close() },
    });
    this.element = h(
      "dialog",
      { class: "card-dialog", testid: "reach-dialog", "aria-labelledby": "reach-title" },
      this.title,
      this.list,
      h("div", { class: "dialog-ways" }, this.close),
    );
  }

  /** @param {import("./protocol.js").Entry} entry @param {State} state */
  open(entry, state) {
    this.#entry = entry;
    this.element.showModal();
    this.update(state);
  }

  /** @param {State} state */
  update(state) {
    if (!this.element.open || !this.#entry) return;
    const { language, words: names } = this.#page;
    const words = TALK_WORDS[language];
    text(this.title, words.mark_title);
    text(this.close, words.close);
    const { number, kind } = this.#entry.envelope;
    const reach = reachOf(state, number, kind);
    this.list.replaceChildren(
      ...reach.map(({ actor_id, mark }) => {
        const role = state.known[actor_id]?.role;
        const name = nameOf(state, actor_id, names);
        const who = role && name !== names.role[role] ? `${name} · ${names.role[role]}` : name;
        const line = h(
          "li",
          {},
          h("span", {}, who),
          h(
            "span",
            { class: "mark" },
            icon(mark === "sent" ? "sent" : "delivered"),
            h("span", {}, words.mark[mark]),
          ),
        );
        set(line, "data-mark", mark);
        return line;
      }),
    );
    if (reach.length === 0) this.list.append(h("li", {}, words.mark_nobody));
  }
}
