// @ts-check
/** Search in the conversation: what is on the page at once, and what the service finds besides. */

import { h, icon, set, show, text } from "./dom.js";
import { found } from "./talk_items.js";
import { TALK_WORDS } from "./talk_words.js";

/** @typedef {import("./state.js").State} State */

const PAUSE_MS = 300; // between two letters of somebody who writes
const MAX_QUERY_CHARACTERS = 100; // more is not a word that anybody looks for

export class TalkSearch {
  #page;
  #api;
  #case_id;
  #onFound;
  #unreachable = false;
  /** What the service found, for which words. */
  #remote = { query: "", numbers: /** @type {number[]} */ ([]) };
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #asking;
  #count = 0;

  /**
   * @param {{
   *   page: import("./language.js").PageLanguage, api: import("./api.js").Api, case_id: string,
   *   onFound: (numbers: ReadonlySet<number> | null) => void, onClose: () => void, state: () => State,
   * }} options onFound: null while nothing is looked for
   */
  constructor({ page, api, case_id, onFound, onClose, state }) {
    this.#page = page;
    this.#api = api;
    this.#case_id = case_id;
    this.#onFound = onFound;
    this.input = h("input", {
      class: "input",
      type: "search",
      testid: "talk-search",
      enterkeyhint: "search",
      autocomplete: "off",
      maxlength: MAX_QUERY_CHARACTERS,
    });
    this.count = h("span", { class: "search-count", role: "status", testid: "search-count" });
    this.close = h(
      "button",
      { class: "icon-button", type: "button", testid: "search-close", on: { click: onClose } },
      icon("close"),
    );
    this.note = h("p", { class: "quiet search-note", hidden: true });
    this.element = h(
      "search",
      { class: "talk-search", hidden: true },
      h("div", { class: "search-line" }, this.input, this.count, this.close),
      this.note,
    );
    this.input.addEventListener("input", () => {
      clearTimeout(this.#asking);
      this.#asking = setTimeout(() => this.#ask(state), PAUSE_MS);
      this.find(state());
    });
    this.input.addEventListener("keydown", (event) => {
      if (event.key === "Escape") onClose();
    });
  }

  get open() {
    return !this.element.hidden;
  }

  /** @param {boolean} open */
  set(open) {
    show(this.element, open);
    clearTimeout(this.#asking);
    this.input.value = "";
    this.#unreachable = false;
    this.#onFound(null);
    if (open) this.input.focus();
  }

  /** Anew, for entries that have come. @param {State} state */
  find(state) {
    const query = this.input.value.trim();
    if (!this.open || query === "") {
      this.#count = 0;
      this.#onFound(null);
      this.update();
      return;
    }
    const numbers = found(state, query, this.#page.words);
    if (this.#remote.query === query) for (const number of this.#remote.numbers) numbers.add(number);
    this.#count = numbers.size;
    this.#onFound(numbers);
    this.update();
  }

  update() {
    const words = TALK_WORDS[this.#page.language];
    set(this.input, "aria-label", words.search_label);
    set(this.input, "placeholder", words.search_label);
    set(this.close, "aria-label", words.search_close);
    text(this.count, this.input.value.trim() === "" ? "" : words.search_count(this.#count));
    show(this.note, this.#unreachable);
    text(this.note, words.search_unreachable);
  }

  /** @param {() => State} state */
  async #ask(state) {
    const query = this.input.value.trim();
    if (query === "" || !this.open) return;
    try {
      const { hits } = await this.#api.searchCase(this.#case_id, query, null);
      this.#remote = { query, numbers: hits.map(({ number }) => number) };
      this.#unreachable = false;
    } catch {
      this.#unreachable = true;
    }
    if (this.input.value.trim() === query) this.find(state());
  }
}
