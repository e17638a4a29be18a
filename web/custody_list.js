// @ts-check
/** Who was given what of this case, and who was not: when, and with what they came. For the desk. */

import { h, set, show, text } from "./dom.js";
import { custodyOf } from "./log_lines.js";
import { nameOf, sentenceOf } from "./sentences.js";
import { WindowedList } from "./windowed_list.js";
import { clockTime } from "./words.js";

/** @typedef {import("./state.js").State} State */
/** @typedef {import("./words.js").Words} Words */

const ROW_PX = 44; // two lines of small type
const ROWS_SHOWN = 4; // the facts below stay in sight; the rest is a scroll away

export class CustodyList {
  #onChoose;
  #list;
  /** @type {State | null} */
  #state = null;
  /** @type {Words | null} */
  #words = null;
  /** @type {number | null} */
  #chosen = null;

  /** @param {(number: number) => void} onChoose */
  constructor(onChoose) {
    this.#onChoose = onChoose;
    this.title = h("h2");
    this.count = h("span", { class: "quiet" });
    this.refused = h("span", { class: "looked-refused", testid: "refused-count" });
    this.empty = h("p", { class: "quiet" });
    this.#list = new WindowedList({
      row_px: ROW_PX,
      make: (key) => this.#make(key),
      update: (row, key) => this.#update(row, key),
    });
    this.element = h(
      "section",
      { class: "looked", testid: "looked" },
      h("header", { class: "looked-head" }, this.title, this.refused, this.count),
      this.empty,
      this.#list.element,
    );
  }

  /** @param {State} state @param {Words} words @param {number | null} chosen */
  update(state, words, chosen) {
    const { desk } = words;
    this.#state = state;
    this.#words = words;
    this.#chosen = chosen;
    const keys = custodyOf(state);
    const refused = keys.filter((key) => state.entries[Number(key) - 1]?.envelope.kind === "refused").length;
    text(this.title, desk.looked);
    text(this.count, desk.looked_count(keys.length));
    show(this.count, keys.length > 0);
    text(this.refused, desk.looked_refused(refused));
    show(this.refused, refused > 0);
    text(this.empty, desk.looked_nobody);
    show(this.empty, keys.length === 0);
    show(this.#list.element, keys.length > 0);
    this.#list.element.style.setProperty("height", `${Math.min(ROWS_SHOWN, keys.length) * ROW_PX}px`);
    this.#list.set(keys);
  }

  /** @param {string} key */
  #make(key) {
    return h(
      "button",
      {
        class: "looked-row",
        type: "button",
        testid: "looked-row",
        on: { click: () => this.#onChoose(Number(key)) },
      },
      h("span", { class: "looked-what" }),
      h("span", { class: "looked-how quiet" }),
    );
  }

  /** @param {HTMLElement} row @param {string} key */
  #update(row, key) {
    const entry = this.#state?.entries[Number(key) - 1];
    const [what, how] = /** @type {HTMLElement[]} */ (Array.from(row.children));
    if (!entry || !what || !how || !this.#state || !this.#words) return;
    const { envelope, body } = entry;
    const words = this.#words;
    set(row, "data-kind", envelope.kind);
    set(row, "data-number", envelope.number);
    set(row, "aria-current", envelope.number === this.#chosen ? "true" : null);
    const sentence = sentenceOf(entry, this.#state, words);
    text(what, sentence);
    set(row, "title", sentence);
    const who = [...new Set([words.role[envelope.role], nameOf(this.#state, envelope.actor_id, words)])];
    const came = authenticatedBy(body, words);
    text(
      how,
      [clockTime(envelope.recorded_at, this.#state.case?.time_zone), ...who, ...(came ? [came] : [])].join(
        " · ",
      ),
    );
  }
}

/** With what somebody came, "" where older entries do not say. @param {import("./protocol.js").Body | null} body @param {Words} words */
export function authenticatedBy(body, words) {
  const known = words.desk.authenticated_by;
  const by = /** @type {keyof typeof known} */ (body?.authenticated_by ?? "");
  return known[by] ?? "";
}
