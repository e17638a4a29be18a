// @ts-check
/** The page of a parcel: its conversation, what is next above the line to write in, and the call as a button. */

import { draw, h, icon, set, show, text } from "./dom.js";
import { somethingErased } from "./erasure.js";
import { InviteDialog } from "./invite_dialog.js";
import { inCall } from "./state.js";
import { TALK_WORDS } from "./talk_words.js";

/** @typedef {import("./state.js").State} State */

export class TalkScreen {
  #page;
  #sounds;
  #talk;

  /**
   * @param {{
   *   page: import("./language.js").PageLanguage, role: import("./protocol.js").Role,
   *   participation: import("./call.js").Participation, case_id: string,
   *   talk: import("./talk_view.js").TalkView, cards: import("./parcel_cards.js").ParcelCards,
   *   sounds: import("./sounds.js").Sounds, onCall: () => void,
   * }} options
   */
  constructor({ page, role, participation, case_id, talk, cards, sounds, onCall }) {
    this.#page = page;
    this.#sounds = sounds;
    this.#talk = talk;
    talk.slot.append(cards.element); // for good: it goes wherever the conversation goes
    this.callWord = h("span");
    this.call = h(
      "button",
      { class: "button with-icon call-button", type: "button", testid: "call-button", on: { click: onCall } },
      icon("video"),
      this.callWord,
    );
    this.search = headButton("search-open", "search", () => talk.search.set(!talk.search.open));
    talk.onSearchClosed = () => this.search.button.focus();
    this.dialog = new InviteDialog({ page, api: participation.api, case_id });
    this.invite = headButton("invite", "invite", () =>
      this.dialog.open(participation.state.case?.waybill ?? ""),
    );
    this.sound = headButton("sound-switch", "sound", () => {
      sounds.on = !sounds.on;
      this.update(participation.state);
    });
    show(this.invite.button, role === "customer" || role === "courier");
    this.ended = h("p", { class: "talk-ended", testid: "talk-ended", hidden: true });
    this.volatile = h("p", { class: "quiet talk-volatile", role: "status", testid: "talk-volatile" });
    this.head = h(
      "div",
      { class: "talk-head" },
      this.call,
      h("div", { class: "talk-head-tools" }, this.search.button, this.invite.button, this.sound.button),
    );
    this.element = h(
      "section",
      { class: "screen is-talk", testid: "talk" },
      this.head,
      this.ended,
      this.volatile,
      this.dialog.element,
    );
  }

  /** The one conversation of the page stands here now. */
  enter() {
    this.#talk.moveTo(this.element);
  }

  /** @param {State} state */
  update(state) {
    const { language, words: names } = this.#page;
    const words = TALK_WORDS[language];
    const ended = state.case?.state === "ended";
    text(this.callWord, state.wants_call && inCall(state) ? words.call_goes_on : words.call);
    set(this.call, "data-on", state.wants_call);
    show(this.call, !ended);
    show(this.ended, ended);
    const hint = somethingErased(state.entries) ? names.ended_hint_erased : names.ended_hint;
    text(this.ended, `${names.ended_title}${names.full_stop}${hint}`);
    show(this.volatile, !state.durable && !ended);
    text(this.volatile, words.not_kept);
    text(this.search.label, words.search);
    text(this.invite.label, words.invite);
    draw(this.sound.svg, this.#sounds.on ? "sound" : "sound_off");
    text(this.sound.label, this.#sounds.on ? words.sound_on : words.sound_off);
    set(this.sound.button, "aria-pressed", String(this.#sounds.on));
    this.dialog.update();
    this.#talk.update(state);
  }
}

/** @param {string} testid @param {import("./dom.js").IconName} name @param {() => void} onClick */
function headButton(testid, name, onClick) {
  const svg = icon(name);
  const label = h("span", { class: "for-screen-readers" });
  const button = h(
    "button",
    { class: "icon-button", type: "button", testid, on: { click: onClick } },
    svg,
    label,
  );
  return { svg, label, button };
}
