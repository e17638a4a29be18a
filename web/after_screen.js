// @ts-check
/** After the call: what was sealed, and the ways on. */

import { h, show, text } from "./dom.js";
import { somethingErased } from "./erasure.js";
import { duration } from "./sentences.js";
import { summary } from "./state.js";
import { TALK_WORDS } from "./talk_words.js";

export class AfterScreen {
  #page;
  #shots;

  /**
   * @param {{page: import("./language.js").PageLanguage, shots: import("./shots.js").Shots, onAgain: () => void,
   *   onBack: () => void}} options
   */
  constructor({ page, shots, onAgain, onBack }) {
    this.#page = page;
    this.#shots = shots;
    this.title = h("h1");
    this.facts = h("p", { class: "facts" });
    this.hint = h("p", { class: "quiet" });
    this.gallery = h("ol", { class: "gallery" });
    this.back = h("button", {
      class: "button is-accent is-main",
      type: "button",
      testid: "to-conversation",
      on: { click: onBack },
    });
    this.again = h("button", {
      class: "button is-main",
      type: "button",
      testid: "rejoin",
      on: { click: onAgain },
    });
    this.element = h(
      "section",
      { class: "screen is-after", testid: "after" },
      this.title,
      this.facts,
      this.gallery,
      this.hint,
      h("div", { class: "after-ways" }, this.back, this.again),
    );
  }

  /** @param {import("./state.js").State} state */
  update(state) {
    const { words } = this.#page;
    const told = summary(state);
    const ended = state.case?.state === "ended";
    text(
      this.title,
      ended
        ? words.ended_title
        : told.first > 0
          ? words.after_title(told.first, told.last)
          : words.after_title_none,
    );
    const count = told.pictures.length;
    const facts = count > 0 ? [words.after_pictures(count)] : [];
    if (told.erased_pictures > 0) facts.push(words.after_pictures_erased(told.erased_pictures));
    if (facts.length === 0) facts.push(words.after_no_pictures);
    if (told.duration_ms > 0) facts.push(duration(told.duration_ms, words));
    text(this.facts, facts.join(" · "));
    const ended_hint = somethingErased(state.entries) ? words.ended_hint_erased : words.ended_hint;
    text(this.hint, ended ? ended_hint : words.after_hint);
    this.#shots.update(this.gallery, state, words, false);
    text(this.back, TALK_WORDS[this.#page.language].to_conversation);
    show(this.again, !ended);
    text(this.again, words.rejoin);
  }
}
