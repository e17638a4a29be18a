// @ts-check
/** The desk's queue of work orders, above the cases: what is to be ruled, and how long there is for it. */

import { h, set, show, text } from "./dom.js";
import { countToRule, inOrder, isToRule, keyOf, timeLeft } from "./orders.js";
import { ORDERS_WORDS } from "./orders_words.js";
import { say } from "./translations.js";
import { WindowedList } from "./windowed_list.js";

/** @typedef {import("./orders.js").OrderRow} OrderRow */
/** @typedef {import("./desk_feed.js").FeedState} FeedState */

const ROW_PX = 52; // two lines, and a target that a finger hits
const ROWS_SHOWN = 6; // the cases below stay in sight; the rest is a scroll away

export class OrderList {
  #page;
  #onChoose;
  #list;
  /** @type {ReadonlyMap<string, OrderRow>} */
  #rows = new Map();
  /** @type {string | null} */
  #current = null;
  #at = 0;

  /** @param {{page: import("./language.js").PageLanguage, onChoose: (row: OrderRow) => void}} options */
  constructor({ page, onChoose }) {
    this.#page = page;
    this.#onChoose = onChoose;
    this.word = h("span");
    this.title = h(
      "h2",
      { class: "state", testid: "to-rule" },
      h("span", { class: "state-mark" }),
      this.word,
    );
    this.note = h("p", { class: "quiet order-note" });
    this.news = h("p", { class: "for-screen-readers", role: "status", testid: "order-news" });
    this.#list = new WindowedList({
      row_px: ROW_PX,
      make: (key) => this.#make(key),
      update: (row, key) => this.#update(row, key),
      follows: false,
    });
    this.element = h(
      "section",
      { class: "order-queue", testid: "orders" },
      this.title,
      this.note,
      this.#list.element,
      this.news,
    );
  }

  /**
   * @param {{queue: import("./orders.js").Queue, feed: FeedState, current: string | null, at: number}} view
   *   current: the order that is looked at; at: milliseconds of the service's clock
   */
  update({ queue, feed, current, at }) {
    const words = ORDERS_WORDS[this.#page.language];
    this.#at = at;
    this.#current = current;
    this.#rows = new Map(inOrder(queue).map((row) => [keyOf(row), row]));
    const count = countToRule(queue);
    set(this.title, "data-state", count > 0 ? "connecting" : "ended");
    text(this.word, words.to_rule(count));
    const note =
      feed === "unreachable"
        ? words.queue_unreachable
        : !queue.known
          ? this.#page.words.connection.connecting
          : !queue.complete
            ? words.queue_looking
            : this.#rows.size === 0
              ? words.queue_none
              : "";
    text(this.note, note);
    show(this.note, note !== "");
    set(this.#list.element, "aria-label", words.queue);
    show(this.#list.element, this.#rows.size > 0);
    const height = Math.min(ROWS_SHOWN, this.#rows.size) * ROW_PX;
    this.#list.element.style.setProperty("height", `${height}px`);
    this.#list.set([...this.#rows.keys()]);
  }

  /** Says aloud what is new. @param {OrderRow} row */
  announce(row) {
    const words = ORDERS_WORDS[this.#page.language];
    text(this.news, words.arrived(say(row.label, [this.#page.language]), row.waybill));
  }

  /** @param {string} key */
  reveal(key) {
    this.#list.reveal(key);
  }

  /** @param {string} key */
  #make(key) {
    const choose = () => {
      const row = this.#rows.get(key);
      if (row) this.#onChoose(row);
    };
    return h(
      "button",
      { class: "order-row", type: "button", testid: "order-row", on: { click: choose } },
      h("span", { class: "order-kind" }),
      h("span", { class: "order-left" }),
      h("span", { class: "order-waybill quiet" }),
      h("span", { class: "order-who quiet" }),
    );
  }

  /** @param {HTMLElement} item @param {string} key */
  #update(item, key) {
    const row = this.#rows.get(key);
    const [kind, left, waybill, who] = /** @type {HTMLElement[]} */ (Array.from(item.children));
    if (!row || !kind || !left || !waybill || !who) return;
    const words = ORDERS_WORDS[this.#page.language];
    const { late, minutes } = timeLeft(row.due_at, this.#at);
    set(item, "data-case-id", row.case_id);
    set(item, "data-number", row.number);
    set(item, "data-state", row.state);
    set(item, "data-late", isToRule(row) && late);
    set(item, "aria-current", key === this.#current ? "true" : null);
    text(kind, say(row.label, [this.#page.language]));
    text(left, isToRule(row) ? (late ? words.late : words.left)(minutes) : words.state_short[row.state]);
    text(waybill, row.waybill);
    text(who, row.taken_by_name === null ? words.nobody : words.with(row.taken_by_name));
  }
}
