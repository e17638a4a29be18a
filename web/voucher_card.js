// @ts-check
/**
 * The way to a voucher on a phone page, shown once the receipt is confirmed: QR code, page, PDF. The page of the
 * voucher uses its parts, too.
 */

import { Backoff, PATIENT } from "./backoff.js";
import { h, set, show, text } from "./dom.js";
import { VOUCHER_WORDS } from "./voucher_words.js";

/** @typedef {import("./api.js").VoucherAddresses} VoucherAddresses */

/** Where this site has the voucher of a token: its pictures come from here alone. @param {string} token */
export function placesOf(token) {
  const json = `/api/vouchers/${encodeURIComponent(token)}`;
  return {
    json,
    qr: `${json}/qr`,
    /** @param {import("./protocol.js").Language} language */
    pdf: (language) => `${json}/pdf?language=${language}`,
  };
}

/** The token that the address of a voucher's page carries. @param {string} url */
export function tokenOf(url) {
  return url.slice(url.indexOf("#") + 1);
}

/** A picture of the code, which is dark on white in every scheme. */
export function qrPicture() {
  return h("img", { class: "voucher-qr", testid: "voucher-qr", width: 208, height: 208 });
}

export class VoucherCard {
  #api;
  #case_id;
  #page;
  /** @type {number | null} the entry whose voucher is shown, or being fetched */
  #number = null;
  /** @type {VoucherAddresses | null} */
  #addresses = null;
  #failed = false;
  #backoff = new Backoff(Math.random, PATIENT);
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #retry;
  #title = h("h2");
  #text = h("p");
  #note = h("p", { class: "quiet", role: "status" });
  #again = h("button", { class: "button", type: "button", on: { click: () => this.#fetch() } });
  #qr = qrPicture();
  #open = h("a", { class: "button is-accent", testid: "voucher-link", target: "_blank", rel: "noopener" });
  #pdf = h("a", { class: "button", testid: "voucher-pdf", target: "_blank", rel: "noopener" });
  #links = h("div", { class: "row" }, this.#open, this.#pdf);

  /** @param {{api: {voucher: (case_id: string) => Promise<VoucherAddresses>}, case_id: string, page: {language: import("./protocol.js").Language}, role?: string}} how */
  constructor({ api, case_id, page, role = "customer" }) {
    this.#api = api;
    this.#case_id = case_id;
    this.#page = page;
    this.own = role === "customer";
    this.element = h(
      "section",
      { class: "voucher-card", testid: "voucher-card", hidden: true },
      this.#title,
      this.#text,
      this.#qr,
      this.#links,
      this.#note,
      this.#again,
    );
  }

  /** @param {{envelope: {number: number}} | null} confirmed the entry that confirmed the receipt, if it is */
  update(confirmed) {
    const number = confirmed?.envelope.number ?? null;
    if (number !== this.#number) {
      this.#number = number;
      this.#addresses = null;
      this.#backoff.reset();
      if (number !== null) this.#fetch();
    }
    this.#draw();
  }

  async #fetch() {
    const number = this.#number;
    clearTimeout(this.#retry);
    this.#failed = false;
    this.#draw();
    try {
      const addresses = await this.#api.voucher(this.#case_id);
      if (this.#number === number) this.#addresses = addresses;
    } catch {
      if (this.#number !== number) return;
      this.#failed = true;
      this.#retry = setTimeout(() => {
        if (this.#failed && this.#number === number) this.#fetch();
      }, this.#backoff.next() * 1000);
    }
    this.#draw();
  }

  #draw() {
    const words = VOUCHER_WORDS[this.#page.language];
    const addresses = this.#addresses;
    show(this.element, this.#number !== null);
    text(this.#title, this.own ? words.card_title : words.card_courier_title);
    text(this.#text, this.own ? words.card_text : words.card_courier_text);
    text(this.#note, addresses ? "" : this.#failed ? words.card_failed : words.card_loading);
    text(this.#again, words.again);
    show(this.#again, this.#failed);
    show(this.#note, !addresses);
    show(this.#links, addresses !== null);
    show(this.#qr, addresses !== null);
    text(this.#open, words.card_open);
    text(this.#pdf, words.card_pdf);
    set(this.#qr, "alt", words.qr);
    if (!addresses) return;
    const places = placesOf(tokenOf(addresses.url));
    set(this.#qr, "src", places.qr);
    set(this.#open, "href", addresses.url);
    set(this.#pdf, "href", places.pdf(this.#page.language));
  }
}
