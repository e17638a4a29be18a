// @ts-check
/** A neighbour or a guard gets a link of their own, for some hours, handed on as the phone hands on links. */

import { ApiError } from "./api.js";
import { copy, h, show, text } from "./dom.js";
import { TALK_WORDS } from "./talk_words.js";
import { shortTime } from "./words.js";

const HOURS = [2, 8, 24]; // of one hand-over, of a day's shift; the service gives no more than a day
const MAX_NAME_CHARACTERS = 64; // signaling/values.py

export class InviteDialog {
  #page;
  #api;
  #case_id;
  #waybill = "";
  #busy = false;
  #problem = "";
  #copied = false;
  /** @type {import("./api.js").IssuedLink | null} */
  #link = null;

  /** @param {{page: import("./language.js").PageLanguage, api: import("./api.js").Api, case_id: string}} options */
  constructor({ page, api, case_id }) {
    this.#page = page;
    this.#api = api;
    this.#case_id = case_id;
    this.title = h("h2", { id: "invite-title" });
    this.why = h("p", { class: "quiet" });
    this.nameWord = h("span");
    this.name = h("input", {
      class: "input",
      testid: "invite-name",
      maxlength: MAX_NAME_CHARACTERS,
      required: true,
      autocomplete: "off",
    });
    this.hoursWord = h("span");
    this.hours = h(
      "select",
      { class: "input", testid: "invite-hours" },
      ...HOURS.map((hours) => h("option", { value: hours })),
    );
    this.make = h("button", { class: "button is-accent", type: "submit", testid: "invite-make" });
    this.form = h(
      "form",
      { class: "dialog-form" },
      h("label", { class: "field" }, this.nameWord, this.name),
      h("label", { class: "field" }, this.hoursWord, this.hours),
      this.make,
    );
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#make();
    });
    this.ready = h("p", { role: "status" });
    this.address = h("p", { class: "invite-link", testid: "invite-link" });
    this.share = h("button", {
      class: "button is-accent",
      type: "button",
      testid: "invite-share",
      on: { click: () => this.#share() },
    });
    this.copy = h("button", {
      class: "button",
      type: "button",
      testid: "invite-copy",
      on: { click: () => this.#copy() },
    });
    this.made = h(
      "div",
      { class: "dialog-form", hidden: true },
      this.ready,
      this.address,
      this.share,
      this.copy,
    );
    this.problem = h("p", { class: "refusal", role: "alert", testid: "invite-problem", hidden: true });
    this.close = h("button", {
      class: "button",
      type: "button",
      testid: "invite-close",
      on: { click: () => this.element.close() },
    });
    this.element = h(
      "dialog",
      { class: "card-dialog", testid: "invite-dialog", "aria-labelledby": "invite-title" },
      this.title,
      this.why,
      this.form,
      this.made,
      this.problem,
      h("div", { class: "dialog-ways" }, this.close),
    );
  }

  /** @param {string} waybill */
  open(waybill) {
    this.#waybill = waybill;
    this.#link = null;
    this.#problem = "";
    this.#copied = false;
    this.name.value = "";
    this.update();
    this.element.showModal();
    this.name.focus();
  }

  update() {
    const words = TALK_WORDS[this.#page.language];
    text(this.title, words.invite_title);
    text(this.why, words.invite_why);
    text(this.nameWord, words.invite_name);
    this.name.placeholder = words.invite_name_hint;
    text(this.hoursWord, words.invite_for);
    for (const option of this.hours.options) text(option, words.invite_hours(Number(option.value)));
    text(this.make, this.#busy ? words.invite_making : words.invite_make);
    this.make.disabled = this.#busy;
    const link = this.#link;
    show(this.form, link === null);
    show(this.why, link === null);
    show(this.made, link !== null);
    text(this.ready, link ? words.invite_ready(link.name, shortTime(link.expires_at)) : "");
    text(this.address, link?.url ?? "");
    show(this.share, typeof navigator.share === "function");
    text(this.share, words.invite_share);
    text(this.copy, this.#copied ? words.invite_copied : words.invite_copy);
    show(this.problem, this.#problem !== "");
    text(this.problem, this.#problem);
    text(this.close, words.close);
  }

  async #make() {
    const words = TALK_WORDS[this.#page.language];
    const name = this.name.value.trim();
    if (name === "" || this.#busy) return;
    this.#busy = true;
    this.#problem = "";
    this.update();
    try {
      const person = { role: "guest", name, expires_in_s: Number(this.hours.value) * 3600 };
      const link = await this.#api.issueLink(this.#case_id, person);
      // A service that was not told its public address names the page alone.
      this.#link = { ...link, url: new URL(link.url, location.href).href };
    } catch (error) {
      const refused = error instanceof ApiError && error.status >= 400 && error.status < 500;
      this.#problem = refused ? words.invite_refused : words.invite_failed;
    }
    this.#busy = false;
    this.update();
    if (this.#link) (this.share.hidden ? this.copy : this.share).focus();
  }

  async #share() {
    const words = TALK_WORDS[this.#page.language];
    try {
      await navigator.share({ text: words.invite_text(this.#waybill), url: this.#link?.url ?? "" });
    } catch {
      // closed without sending: the link is still there to copy
    }
  }

  async #copy() {
    await copy(this.#link?.url ?? "");
    this.#copied = true;
    this.update();
  }
}
