// @ts-check
/** Why there is nothing to see: a link that does not work, was taken back, is open elsewhere; no network. */

import { h, icon, set, show, text } from "./dom.js";

export class NoticeScreen {
  /** @param {{onButton: () => void}} options */
  constructor({ onButton }) {
    this.title = h("h1");
    this.text = h("p");
    this.button = h("button", {
      class: "button is-accent is-main",
      type: "button",
      testid: "notice-button",
      on: { click: onButton },
    });
    this.element = h(
      "section",
      { class: "screen is-notice", testid: "notice" },
      icon("alert"),
      this.title,
      this.text,
      this.button,
    );
  }

  /** @param {string} reason @param {import("./words.js").Words} words */
  update(reason, words) {
    const key = /** @type {keyof typeof words.notice} */ (reason in words.notice ? reason : "offline");
    set(this.element, "data-reason", key);
    text(this.title, words.notice[key].title);
    text(this.text, words.notice[key].text);
    show(this.button, key === "replaced" || key === "outdated" || key === "offline");
    text(this.button, key === "replaced" ? words.use_here : words.reload);
  }
}
