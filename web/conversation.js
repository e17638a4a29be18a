// @ts-check
/** The conversation as a sheet: the log in words, what is still being sent, and a line to write in. */

import { h, icon, keyed, set, show, text } from "./dom.js";
import { nameOf, sentenceOf } from "./sentences.js";
import { clockTime } from "./words.js";

/** @typedef {import("./state.js").State} State */
/** @typedef {import("./words.js").Words} Words */

const MAX_TEXT_CHARACTERS = 2000; // PROTOCOL.md
const SHOWN = 200; // what a thumb scrolls back to; the whole log is at the desk

/** What a phone leaves to the desk. */
const NOT_TOLD = ["call_started", "call_quality"];

/** Entries that tell people something, newest last. @param {State} state */
function told(state) {
  return state.entries
    .filter(({ body, envelope }) => body !== null && !NOT_TOLD.includes(envelope.kind))
    .slice(-SHOWN);
}

/** The line that always shows. @param {State} state @param {Words} words */
export function lastLine(state, words) {
  const waiting = state.waiting.findLast(({ command }) => command.kind === "text");
  if (waiting?.command.kind === "text") return `${waiting.command.text} · ${words.sending}`;
  if (state.shots.length > 0) return words.sealing;
  const entry = told(state).at(-1);
  if (!entry) return words.conversation_empty;
  const { kind, recorded_at, number, actor_id } = entry.envelope;
  if (kind === "frame_sealed") return words.sealed(clockTime(recorded_at), number);
  const sentence = sentenceOf(entry, state, words);
  return kind === "text" && actor_id !== state.you?.actor_id
    ? `${nameOf(state, actor_id, words)}: ${sentence}`
    : sentence;
}

export class Conversation {
  #followed = 0;

  /** @param {{onText: (text: string) => void, onClose: () => void, onPicture: (number: number) => void}} options */
  constructor({ onText, onClose, onPicture }) {
    this.onPicture = onPicture;
    this.input = h("input", {
      class: "input",
      testid: "text-input",
      maxlength: MAX_TEXT_CHARACTERS,
      enterkeyhint: "send",
      autocomplete: "off",
    });
    this.send = h("button", { class: "button is-accent", testid: "text-send", type: "submit" });
    this.title = h("h2", { class: "sheet-title" });
    this.close = h(
      "button",
      { class: "icon-button", type: "button", testid: "sheet-close", on: { click: onClose } },
      icon("close"),
    );
    this.list = h("ol", { class: "talk", tabindex: 0 });
    this.empty = h("p", { class: "quiet" });
    this.element = h(
      "section",
      { class: "sheet", testid: "sheet", hidden: true },
      h("header", { class: "sheet-head" }, this.title, this.close),
      this.empty,
      this.list,
      h(
        "form",
        {
          class: "sheet-form",
          on: {
            submit: (/** @type {SubmitEvent} */ event) => {
              event.preventDefault();
              const said = this.input.value.trim();
              if (said === "") return;
              this.input.value = "";
              onText(said);
            },
          },
        },
        this.input,
        this.send,
      ),
    );
  }

  /** @param {State} state @param {Words} words */
  update(state, words) {
    text(this.title, words.conversation);
    set(this.close, "aria-label", words.close);
    set(this.input, "placeholder", words.type_here);
    set(this.input, "aria-label", words.type_here);
    text(this.send, words.send);
    if (this.element.hidden) return;
    const entries = new Map(told(state).map((entry) => [String(entry.envelope.number), entry]));
    const waiting = new Map(
      state.waiting.flatMap(({ id, command }) => (command.kind === "text" ? [[id, command.text]] : [])),
    );
    show(this.empty, entries.size + waiting.size === 0);
    text(this.empty, words.conversation_empty);
    const atEnd = this.list.scrollHeight - this.list.scrollTop - this.list.clientHeight < 48;
    keyed(
      this.list,
      [...entries.keys(), ...waiting.keys()],
      (key) => {
        const line = h(
          "li",
          { class: "talk-line" },
          h("span", { class: "talk-who" }),
          h("span", { class: "talk-text" }),
        );
        line.addEventListener(
          "click",
          () => line.dataset.kind === "frame_sealed" && this.onPicture(Number(key)),
        );
        return line;
      },
      (line, key) => {
        const entry = entries.get(key);
        const [who, what] = /** @type {HTMLElement[]} */ (Array.from(line.children));
        if (!who || !what) return;
        if (!entry) {
          set(line, "data-kind", "text");
          set(line, "data-mine", true);
          set(line, "data-waiting", true);
          text(who, words.sending);
          text(what, waiting.get(key) ?? "");
          return;
        }
        const { kind, number, actor_id, recorded_at } = entry.envelope;
        set(line, "data-testid", "log-entry");
        set(line, "data-number", number);
        set(line, "data-kind", kind);
        set(line, "data-mine", kind === "text" && actor_id === state.you?.actor_id);
        const name = kind === "text" ? `${nameOf(state, actor_id, words)} · ` : "";
        text(who, `${name}${clockTime(recorded_at)}`);
        text(
          what,
          kind === "frame_sealed"
            ? `${sentenceOf(entry, state, words)} · ${words.number(number)}`
            : sentenceOf(entry, state, words),
        );
      },
    );
    if (atEnd || this.#followed === 0) this.list.scrollTop = this.list.scrollHeight;
    this.#followed = entries.size;
  }
}
