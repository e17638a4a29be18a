// @ts-check
/** The conversation as a sheet over the call: the same list and line to write in as on the page of the conversation. */

import { h, icon, set, show, text } from "./dom.js";
import { nameOf, sentenceOf } from "./sentences.js";
import { toldOf } from "./talk_items.js";
import { clockTime } from "./words.js";

/** @typedef {import("./state.js").State} State */
/** @typedef {import("./words.js").Words} Words */

/** The line that always shows. @param {State} state @param {Words} words */
export function lastLine(state, words) {
  const waiting = state.waiting.findLast(({ command }) => command.kind === "text");
  if (waiting?.command.kind === "text") return `${waiting.command.text} · ${words.sending}`;
  if (state.shots.length > 0) return words.sealing;
  const entry = toldOf(state).at(-1);
  if (!entry) return words.conversation_empty;
  const { kind, recorded_at, number, actor_id } = entry.envelope;
  if (kind === "frame_sealed") return words.sealed(clockTime(recorded_at), number);
  const sentence = sentenceOf(entry, state, words);
  return kind === "text" && actor_id !== state.you?.actor_id
    ? `${nameOf(state, actor_id, words)}: ${sentence}`
    : sentence;
}

export class Conversation {
  /** @param {{onClose: () => void}} options */
  constructor({ onClose }) {
    this.title = h("h2", { class: "sheet-title" });
    this.close = h(
      "button",
      { class: "icon-button", type: "button", testid: "sheet-close", on: { click: onClose } },
      icon("close"),
    );
    this.element = h(
      "section",
      { class: "sheet", testid: "sheet", hidden: true },
      h("header", { class: "sheet-head" }, this.title, this.close),
    );
  }

  get open() {
    return !this.element.hidden;
  }

  /** @param {boolean} open @param {import("./talk_view.js").TalkView} talk the one list and composer of the page */
  set(open, talk) {
    show(this.element, open);
    if (open) this.element.append(talk.element);
  }

  /** @param {Words} words */
  update(words) {
    text(this.title, words.conversation);
    set(this.close, "aria-label", words.close);
  }
}
