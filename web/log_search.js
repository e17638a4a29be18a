// @ts-check
/** Words looked for in the logs: of all cases at the desk, or of the case that is open. */

import { ApiError } from "./api.js";
import { h, keyed, set, show, text } from "./dom.js";
import { ORDERS_WORDS } from "./orders_words.js";
import { clockTime, fullTime } from "./words.js";

/** @typedef {import("./api.js").SearchHit} SearchHit */
/** @typedef {import("./api.js").SearchAnswer} SearchAnswer */

const WAIT_MS = 200; // between two letters of who types fast
const FEWEST_CHARACTERS = 2; // in Chinese that is a word

export class LogSearch {
  #page;
  #ask;
  #onOpen;
  #across;
  #asked = "";
  #turn = 0;
  /** @type {"idle" | "asking" | "there" | "failed"} */
  #state = "idle";
  /** @type {readonly SearchHit[]} */
  #hits = [];
  #complete = true;
  /** @type {string | number | null} */
  #next = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** @type {string | undefined} */
  #zone;

  /**
   * @param {{
   *   page: import("./language.js").PageLanguage, across: boolean,
   *   ask: (words: string, before: string | number | null) => Promise<SearchAnswer>,
   *   onOpen: (hit: SearchHit) => void,
   * }} options across: hits are of many cases and say of which
   */
  constructor({ page, across, ask, onOpen }) {
    this.#page = page;
    this.#ask = ask;
    this.#onOpen = onOpen;
    this.#across = across;
    this.title = h("h2");
    this.note = h("p", { class: "quiet", role: "status" });
    this.list = h("ol", { class: "hits" });
    this.more = h("button", {
      class: "text-button",
      type: "button",
      testid: "search-more",
      on: { click: () => this.#fetch(this.#next) },
    });
    this.element = h(
      "section",
      { class: "log-search", testid: "search-log", hidden: true },
      this.title,
      this.note,
      this.list,
      this.more,
    );
    this.element.addEventListener("keydown", (event) => this.#move(event));
  }

  get asks() {
    return this.#asked !== "";
  }

  /** @param {string} words */
  look(words) {
    const wanted = words.trim();
    const asked = wanted.length < FEWEST_CHARACTERS ? "" : wanted;
    if (asked === this.#asked) return;
    this.#asked = asked;
    clearTimeout(this.#timer);
    this.#turn += 1;
    if (asked === "") {
      this.#state = "idle";
      this.#hits = [];
    } else {
      this.#state = "asking";
      this.#timer = setTimeout(() => this.#fetch(null), WAIT_MS);
    }
    this.update();
  }

  /** @param {string | number | null} before */
  async #fetch(before) {
    const turn = this.#turn;
    this.#state = "asking";
    this.update();
    try {
      const { hits, complete, next_before } = await this.#ask(this.#asked, before);
      if (turn !== this.#turn) return;
      this.#hits = before === null ? hits : [...this.#hits, ...hits];
      this.#complete = complete;
      this.#next = next_before ?? null;
      this.#state = "there";
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (turn !== this.#turn) return;
      this.#state = "failed";
    }
    this.update();
  }

  /** To the first hit, as from the field. @returns {boolean} whether there is one */
  focus() {
    const first = this.list.querySelector("button");
    first?.focus();
    return first !== null;
  }

  /** @param {KeyboardEvent} event */
  #move(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step === undefined) return;
    const buttons = Array.from(this.element.querySelectorAll("button:not([hidden])"));
    const next = buttons[buttons.indexOf(/** @type {Element} */ (document.activeElement)) + step];
    if (next instanceof HTMLElement) next.focus();
    event.preventDefault();
  }

  /** @param {string} [zone] in which times are told where a hit does not say */
  update(zone) {
    this.#zone = zone ?? this.#zone;
    const { language, words: all } = this.#page;
    const words = ORDERS_WORDS[language];
    show(this.element, this.#state !== "idle");
    text(this.title, words.search_entries);
    const note =
      this.#state === "asking"
        ? words.searching
        : this.#state === "failed"
          ? words.search_failed
          : [
              this.#hits.length === 0 ? words.search_none : "",
              this.#complete ? "" : words.search_incomplete,
            ].join(" ");
    text(this.note, note.trim());
    show(this.note, note.trim() !== "");
    const hits = new Map(this.#hits.map((hit) => [`${hit.case_id} ${hit.number}`, hit]));
    keyed(
      this.list,
      [...hits.keys()],
      (key) => {
        const open = () => {
          const hit = hits.get(key) ?? this.#hits.find((one) => `${one.case_id} ${one.number}` === key);
          if (hit) this.#onOpen(hit);
        };
        const button = { class: "hit", type: "button", testid: "search-hit", on: { click: open } };
        return h(
          "li",
          {},
          h("button", button, h("span", { class: "hit-said" }), h("span", { class: "quiet" })),
        );
      },
      (item, key) => {
        const hit = hits.get(key);
        const button = /** @type {HTMLElement} */ (item.firstElementChild);
        const [said, where] = /** @type {HTMLElement[]} */ (Array.from(button.children));
        if (!hit || !said || !where) return;
        set(button, "data-case-id", hit.case_id);
        set(button, "data-number", hit.number);
        text(said, hit.excerpt);
        const time = this.#across
          ? fullTime(hit.recorded_at).slice(0, 16)
          : clockTime(hit.recorded_at, this.#zone);
        const who = all.role[hit.role] ?? hit.role;
        const told = [this.#across ? hit.waybill : "", words.show_entry(hit.number), who, time];
        text(where, told.filter(Boolean).join(" · "));
      },
    );
    show(this.more, this.#next !== null && this.#state === "there");
    text(this.more, words.search_more);
  }
}
