// @ts-check
/** A dialog that makes a link for somebody else: a neighbour or a guard, or a second desk. */

import { ApiError } from "./api.js";
import { copy, h, set, show, text } from "./dom.js";
import { ORDERS_WORDS } from "./orders_words.js";

const GUEST_LIFETIME_S = 24 * 3600; // the longest that people may give: a parcel is taken in on its day
const SHOWN_COPIED_MS = 3000;

/** @typedef {{name: string, url: string}} Made */

export class BringIn {
  #page;
  #make;
  #state = { busy: false, copied: false };
  /** @type {Made | null} */
  #made = null;
  /** @type {"bring_failed" | "bring_not_here" | "bring_name_wanted" | null} */
  #wrong = null;

  /**
   * @param {{
   *   page: import("./language.js").PageLanguage,
   *   make: (who: "guest" | "second", name: string, expires_in_s: number) => Promise<Made>, second: boolean,
   * }} options second: whether this page can let in a second desk
   */
  constructor({ page, make, second }) {
    this.#page = page;
    this.#make = make;
    this.title = h("h2", { id: "bring-title" });
    const choice = (/** @type {"guest" | "second"} */ who) => {
      const radio = h("input", { type: "radio", name: "bring-who", value: who, testid: `bring-${who}` });
      radio.checked = who === "guest";
      return { radio, word: h("span") };
    };
    this.guest = choice("guest");
    this.second = choice("second");
    this.who = h(
      "fieldset",
      { class: "bring-who", hidden: !second },
      h("label", {}, this.guest.radio, this.guest.word),
      h("label", {}, this.second.radio, this.second.word),
    );
    this.label = h("label", { for: "bring-name" });
    this.name = h("input", {
      class: "input",
      id: "bring-name",
      testid: "bring-name",
      maxlength: 64,
      autocomplete: "off",
    });
    this.wrong = h("p", { class: "refusal", role: "alert", testid: "bring-refusal", hidden: true });
    this.makeButton = h("button", { class: "button is-accent", type: "submit", testid: "bring-make" });
    this.cancel = h("button", { class: "text-button", type: "button", testid: "bring-close" });
    this.told = h("p", { role: "status" });
    this.url = h("input", { class: "input bring-url", readonly: true, testid: "bring-url" });
    this.copy = h("button", { class: "button", type: "button", testid: "bring-copy" });
    this.result = h("div", { class: "bring-result", hidden: true }, this.told, this.url, this.copy);
    this.form = h(
      "form",
      { class: "bring-form" },
      this.who,
      this.label,
      this.name,
      this.wrong,
      this.result,
      h("div", { class: "row" }, this.makeButton, this.cancel),
    );
    this.element = h(
      "dialog",
      { class: "dialog", testid: "bring-dialog", "aria-labelledby": "bring-title" },
      this.title,
      this.form,
    );
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.cancel.addEventListener("click", () => this.element.close());
    this.copy.addEventListener("click", () => this.#copy());
    this.element.addEventListener("close", () => this.#forget());
  }

  open() {
    this.#forget();
    this.element.showModal();
    this.name.focus();
  }

  /** A link is shown once: a closed dialog has forgotten it. */
  #forget() {
    this.#made = null;
    this.#wrong = null;
    this.name.value = "";
    this.url.value = "";
    this.update();
  }

  async #submit() {
    const name = this.name.value.trim();
    if (name === "") {
      this.#wrong = "bring_name_wanted";
      this.name.focus();
      return this.update();
    }
    this.#state.busy = true;
    this.#wrong = null;
    this.update();
    try {
      this.#made = await this.#make(this.second.radio.checked ? "second" : "guest", name, GUEST_LIFETIME_S);
      this.url.value = this.#made.url;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.#wrong = error.status === 403 ? "bring_not_here" : "bring_failed";
    }
    this.#state.busy = false;
    this.update();
    if (this.#made) this.copy.focus();
    return undefined;
  }

  async #copy() {
    await copy(this.url.value);
    this.url.select(); // for who would rather take it by keyboard
    this.#state.copied = true;
    setTimeout(() => {
      this.#state.copied = false;
      this.update();
    }, SHOWN_COPIED_MS);
    this.update();
  }

  update() {
    const words = ORDERS_WORDS[this.#page.language];
    text(this.title, words.bring_title);
    text(this.guest.word, words.bring_who.guest);
    text(this.second.word, words.bring_who.second);
    set(this.who, "aria-label", words.bring_title);
    text(this.label, words.bring_name);
    show(this.wrong, this.#wrong !== null);
    text(this.wrong, this.#wrong ? words[this.#wrong] : "");
    text(this.makeButton, words.bring_make);
    this.makeButton.disabled = this.#state.busy;
    show(this.makeButton, this.#made === null);
    show(this.result, this.#made !== null);
    text(this.told, this.#made ? words.bring_made(this.#made.name) : "");
    set(this.url, "aria-label", words.bring_make);
    text(this.copy, this.#state.copied ? words.bring_copied : words.bring_copy);
    text(this.cancel, this.#page.words.close);
  }
}
