// @ts-check
/**
 * A long list of rows of one height, of which only those in sight exist.
 *
 * It may follow the end while it is at the end; scrolled elsewhere, nothing moves when rows arrive.
 */

import { h, keyed } from "./dom.js";

const BEYOND = 8; // rows kept ready above and below, so that a quick wheel shows no blank

/** The rows to keep, pure. @param {{top: number, height: number, row: number, count: number}} view */
export function windowOf({ top, height, row, count }) {
  const first = Math.max(0, Math.floor(top / row) - BEYOND);
  const last = Math.min(count, Math.ceil((top + height) / row) + BEYOND);
  return { first: Math.min(first, count), last };
}

export class WindowedList {
  #row_px;
  #follows;
  #make;
  #update;
  /** @type {readonly string[]} */
  #keys = [];
  #following;
  #queued = false;

  /**
   * @param {{row_px: number, make: (key: string) => HTMLElement, update: (row: HTMLElement, key: string) => void, follows?: boolean}} options
   *   follows: begins at its end, where what arrives is seen
   */
  constructor({ row_px, make, update, follows = true }) {
    this.#following = follows;
    this.#follows = follows;
    this.#row_px = row_px;
    this.#make = make;
    this.#update = update;
    this.rows = h("div", { class: "window-rows" });
    this.element = h("div", { class: "window", tabindex: -1 }, this.rows);
    this.element.addEventListener(
      "scroll",
      () => {
        this.#noteEnd();
        this.#draw();
      },
      { passive: true },
    );
    new ResizeObserver(() => this.#later()).observe(this.element);
  }

  /** @param {readonly string[]} keys */
  set(keys) {
    this.#keys = keys;
    this.rows.style.setProperty("height", `${keys.length * this.#row_px}px`);
    if (this.#following) this.element.scrollTop = this.element.scrollHeight;
    this.#draw();
  }

  /** @param {string} key */
  reveal(key) {
    const index = this.#keys.indexOf(key);
    if (index < 0) return;
    const { scrollTop, clientHeight } = this.element;
    const top = index * this.#row_px;
    if (top < scrollTop) this.element.scrollTop = top;
    else if (top + this.#row_px > scrollTop + clientHeight) {
      this.element.scrollTop = top + this.#row_px - clientHeight;
    }
    this.#noteEnd();
    this.#draw();
  }

  #noteEnd() {
    const { scrollHeight, scrollTop, clientHeight } = this.element;
    this.#following = this.#follows && scrollHeight - scrollTop - clientHeight < this.#row_px;
  }

  /** Whether a row lies wholly in sight. @param {string} key */
  shows(key) {
    const top = this.#keys.indexOf(key) * this.#row_px;
    const { scrollTop, clientHeight } = this.element;
    return top >= scrollTop && top + this.#row_px <= scrollTop + clientHeight;
  }

  /** The last row that lies wholly in sight. @returns {string | null} */
  lastShown() {
    const { scrollTop, clientHeight } = this.element;
    const place = Math.floor((scrollTop + clientHeight) / this.#row_px) - 1;
    return this.#keys[Math.min(this.#keys.length - 1, place)] ?? null;
  }

  #later() {
    if (this.#queued) return;
    this.#queued = true;
    requestAnimationFrame(() => {
      this.#queued = false;
      if (this.#following) this.element.scrollTop = this.element.scrollHeight;
      this.#draw();
    });
  }

  #draw() {
    const { scrollTop, clientHeight } = this.element;
    const { first, last } = windowOf({
      top: scrollTop,
      height: clientHeight,
      row: this.#row_px,
      count: this.#keys.length,
    });
    const index = new Map(this.#keys.slice(first, last).map((key, offset) => [key, first + offset]));
    keyed(this.rows, [...index.keys()], this.#make, (row, key) => {
      row.style.setProperty("top", `${(index.get(key) ?? 0) * this.#row_px}px`);
      this.#update(row, key);
    });
  }
}
