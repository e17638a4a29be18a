// @ts-check
/** How the parcel stands, for the desk: what holds, what the customer has answered or wants changed, the hand-over. */

import { h, keyed, set, show, text } from "./dom.js";
import { may } from "./may.js";
import { ORDERS_WORDS } from "./orders_words.js";
import { isDelivered } from "./parcel_next.js";
import { nameOf } from "./sentences.js";
import { say } from "./translations.js";
import { announceable, wordOf } from "./wording.js";
import { clockTime, fullTime } from "./words.js";

/** @typedef {import("./state.js").State} State */
/** @typedef {import("./protocol.js").Command} Command */
/** @typedef {import("./protocol.js").ChangeOf} ChangeOf */
/** @typedef {import("./orders_words.js").OrdersWords} OrdersWords */
/** @typedef {import("./wording.js").Wording} Wording */

const CHANGES = /** @type {const} */ (["address", "time", "person"]);

/** A time as people at the desk read it: the day too, and no seconds. @param {string} time @param {string | undefined} zone */
function when(time, zone) {
  return fullTime(time, zone).slice(0, 16);
}

export class DeliveryFacts {
  #page;
  #command;
  #onShow;

  /**
   * @param {{
   *   page: import("./language.js").PageLanguage, command: (command: Command) => void,
   *   onShow: (number: number) => void, onVoucher: () => void,
   * }} options
   */
  constructor({ page, command, onShow, onVoucher }) {
    this.#page = page;
    this.#command = command;
    this.#onShow = onShow;
    this.title = h("h2");
    this.changes = h("div", { class: "change-cards" });
    this.list = h("dl", { class: "facts-list" });
    this.voucher = h("button", {
      class: "button",
      type: "button",
      testid: "voucher-link",
      hidden: true,
      on: { click: onVoucher },
    });
    this.announce = h("button", {
      class: "button",
      type: "button",
      testid: "announce-open",
      hidden: true,
      on: { click: () => this.dialog.showModal() },
    });
    this.announceTitle = h("h2", { id: "announce-title" });
    this.notices = h("div", { class: "announce-list" });
    this.cancel = h("button", {
      class: "text-button",
      type: "button",
      on: { click: () => this.dialog.close() },
    });
    this.dialog = h(
      "dialog",
      { class: "dialog", testid: "announce-dialog", "aria-labelledby": "announce-title" },
      this.announceTitle,
      this.notices,
      this.cancel,
    );
    this.element = h(
      "section",
      { class: "delivery-facts", testid: "delivery-facts", hidden: true },
      this.title,
      this.changes,
      this.list,
      h("div", { class: "row" }, this.voucher, this.announce),
      this.dialog,
    );
  }

  /** @param {State} state @param {Wording | null} wording */
  update(state, wording) {
    const { language, words: all } = this.#page;
    const words = ORDERS_WORDS[language];
    const { parcel } = state;
    const zone = state.case?.time_zone;
    const rows = this.#rows(state, words);
    const open = state.case?.state !== "ended";
    const role = state.you?.role;
    const notices = role ? announceable(wording, role) : [];
    const announces = open && !isDelivered(state) && may("announce", role) && notices.length > 0;
    const changes = CHANGES.filter((what) => parcel.changes[what]);
    show(this.element, rows.length > 0 || changes.length > 0 || announces);
    text(this.title, words.parcel);
    keyed(
      this.changes,
      changes.map((what) => `${what} ${parcel.changes[what]?.number}`),
      (key) => this.#makeChange(key),
      (card, key) => {
        const what = /** @type {ChangeOf} */ (key.split(" ")[0]);
        const change = parcel.changes[what];
        const [title, said, who, buttons] = /** @type {HTMLElement[]} */ (Array.from(card.children));
        if (!change || !title || !said || !who || !buttons) return;
        const busy = state.waiting.some(
          ({ command }) => "number" in command && command.number === change.number,
        );
        set(card, "data-what", what);
        set(card, "data-number", change.number);
        text(title, words.wanted[what]);
        text(
          said,
          [change.when_at ? when(change.when_at, zone) : "", change.text].filter(Boolean).join(" · "),
        );
        text(who, `${nameOf(state, change.actor_id, all)} · ${words.show_entry(change.number)}`);
        show(buttons, open && may("answer_change", role));
        const [accept, decline] = /** @type {HTMLButtonElement[]} */ (Array.from(buttons.children));
        if (!accept || !decline) return;
        text(accept, words.accept);
        text(decline, words.decline);
        accept.disabled = decline.disabled = busy;
      },
    );
    keyed(
      this.list,
      rows.map(([key]) => key),
      () => h("div", { class: "facts-row" }, h("dt"), h("dd", {}, h("span"))),
      (item, key) => {
        const row = rows.find(([name]) => name === key);
        if (!row) return;
        set(item, "data-testid", row[0].startsWith("agreed") ? "agreed" : row[0]);
        text(/** @type {Element} */ (item.firstElementChild), row[1]);
        text(/** @type {Element} */ (item.querySelector("dd > span")), row[2]);
      },
    );
    const settled = parcel.handed_over?.settled;
    show(this.voucher, settled?.kind === "confirmed");
    text(this.voucher, words.voucher);
    show(this.announce, announces);
    text(this.announce, words.announce);
    text(this.announceTitle, words.announce_title);
    text(this.cancel, all.desk.cancel);
    keyed(
      this.notices,
      notices,
      (code) =>
        h("button", {
          class: "button announce",
          type: "button",
          testid: "announce",
          "data-notice": code,
          on: { click: () => this.#announce(code) },
        }),
      (button, code) => text(button, wordOf(wording, `notice.${code}`, language)),
    );
  }

  /** @param {State} state @param {OrdersWords} words @returns {[string, string, string][]} key, word, value */
  #rows(state, words) {
    const { language } = this.#page;
    const { notice, agreed, handed_over } = state.parcel;
    const zone = state.case?.time_zone;
    /** @type {[string, string, string][]} */
    const rows = [];
    for (const what of CHANGES) {
      const held = agreed[what];
      const told =
        held && [held.when_at ? when(held.when_at, zone) : "", held.text].filter(Boolean).join(" · ");
      if (told) rows.push([`agreed-${what}`, words.agreed[what], told]);
    }
    if (notice) {
      const sent = `${clockTime(notice.sent_at, zone).slice(0, 5)} ${say(notice.text, [language])}`;
      rows.push(["notice", words.notice, sent]);
      const { answer } = notice;
      const told = answer && [
        say(answer.label, [language]),
        answer.when_at ? when(answer.when_at, zone) : "",
        answer.detail ?? "",
        answer.taken ? words.answer_taken : "",
      ];
      if (told) rows.push(["answer", words.answer, told.filter(Boolean).join(" · ")]);
      else if (!notice.closed) rows.push(["answer", words.answer, words.answer_waits]);
    }
    if (handed_over) {
      const told = [say(handed_over.label, [language]), handed_over.text ?? ""].filter(Boolean).join(" · ");
      rows.push(["handed-over", words.hand_over, told]);
      const { settled } = handed_over;
      const word = !settled
        ? words.hand_over_open
        : settled.kind === "receipt_refused"
          ? words.receipt_refused
          : settled.reservation === null
            ? words.confirmed
            : `${words.reserved} · ${settled.reservation}`;
      rows.push(["receipt", words.receipt, word]);
    }
    return rows;
  }

  /** @param {string} key */
  #makeChange(key) {
    const number = Number(key.split(" ")[1]);
    const answer = (/** @type {string} */ testid, /** @type {boolean} */ accepted) =>
      h("button", {
        class: accepted ? "button is-accent" : "button",
        type: "button",
        testid,
        on: { click: () => this.#command({ kind: "answer_change", number, accepted }) },
      });
    return h(
      "article",
      { class: "change", testid: "change-card" },
      h("h3"),
      h("p", { class: "change-said" }),
      h("button", { class: "text-button", type: "button", on: { click: () => this.#onShow(number) } }),
      h("div", { class: "row" }, answer("change-accept", true), answer("change-decline", false)),
    );
  }

  /** @param {string} notice */
  #announce(notice) {
    this.dialog.close();
    this.#command({ kind: "announce", notice, captured_at: new Date().toISOString() });
  }
}
