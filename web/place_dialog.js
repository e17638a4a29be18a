// @ts-check
/** Asks once, with the reason, before the phone is asked where it is. Not sharing is fine. */

import { h, show, text } from "./dom.js";
import { askPlace, NoPlace } from "./place.js";
import { TALK_WORDS } from "./talk_words.js";

export class PlaceDialog {
  #page;
  #onPlace;
  #asking = false;
  /** @type {import("./place.js").PlaceProblem | null} */
  #problem = null;

  /** @param {{page: import("./language.js").PageLanguage, onPlace: (place: import("./protocol.js").Place) => void}} options */
  constructor({ page, onPlace }) {
    this.#page = page;
    this.#onPlace = onPlace;
    this.title = h("h2", { id: "place-title" });
    this.why = h("p");
    this.problem = h("p", { class: "refusal", role: "alert", testid: "place-problem", hidden: true });
    this.share = h("button", {
      class: "button is-accent",
      type: "button",
      testid: "place-agree",
      on: { click: () => this.#share() },
    });
    this.not = h("button", {
      class: "button",
      type: "button",
      testid: "place-decline",
      on: { click: () => this.element.close() },
    });
    this.element = h(
      "dialog",
      { class: "card-dialog", testid: "place-dialog", "aria-labelledby": "place-title" },
      this.title,
      this.why,
      this.problem,
      h("div", { class: "dialog-ways" }, this.share, this.not),
    );
    this.element.addEventListener("close", () => {
      this.#asking = false;
    });
  }

  open() {
    this.#problem = null;
    this.update();
    this.element.showModal();
  }

  update() {
    const words = TALK_WORDS[this.#page.language];
    text(this.title, words.place_title);
    text(this.why, words.place_why);
    text(this.share, this.#asking ? words.place_asking : words.place_share);
    this.share.disabled = this.#asking;
    text(this.not, words.place_not);
    show(this.problem, this.#problem !== null);
    text(this.problem, this.#problem ? words.place_problem[this.#problem] : "");
  }

  async #share() {
    this.#asking = true;
    this.#problem = null;
    this.update();
    try {
      const place = await askPlace();
      if (!this.#asking) return; // closed meanwhile: the person has changed their mind
      this.element.close();
      this.#onPlace(place);
    } catch (error) {
      this.#problem = error instanceof NoPlace ? error.code : "unavailable";
    }
    this.#asking = false;
    this.update();
  }
}
