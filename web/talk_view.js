// @ts-check
/**
 * The conversation of this page, once: list, search and composer, wherever it stands, and the marks that go with
 * reading it.
 */

import { h, show } from "./dom.js";
import { ReachDialog } from "./reach_dialog.js";
import { attachmentsOf } from "./talk.js";
import { Composer } from "./talk_composer.js";
import { messagesSince } from "./talk_items.js";
import { TalkList } from "./talk_list.js";
import { MarkTeller } from "./talk_marks.js";
import { TalkSearch } from "./talk_search.js";
import { remember, remembered } from "./token.js";
import { VoicePlayer } from "./voice_player.js";

/** @typedef {import("./state.js").State} State */

export class TalkView {
  #session;
  #failed_key;
  #marks = new MarkTeller();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #marking;
  /** @type {State | null} */
  #state = null;

  /**
   * @param {{
   *   page: import("./language.js").PageLanguage, role: import("./protocol.js").Role,
   *   session: import("./session.js").Session, api: import("./api.js").Api, case_id: string, actor_id: string,
   *   pictures: import("./pictures.js").Pictures, wording: import("./wording.js").WordingSource,
   *   onPicture: (number: number) => void, onPhoto: (photo: import("./talk_attachment.js").Photo) => void,
   * }} options
   */
  constructor({ page, role, session, api, case_id, actor_id, pictures, wording, onPicture, onPhoto }) {
    this.#session = session;
    const player = new VoicePlayer({
      pictures,
      onChange: () => this.#state && this.list.update(this.#state),
    });
    this.reach = new ReachDialog({ page });
    this.list = new TalkList({
      page,
      means: { pictures, player, onPhoto, bytesOf: (sha256) => this.#bytesOf(sha256) },
      onPicture,
      onReach: (entry) => this.reach.open(entry, session.state),
      onFound: (number) => {
        this.search.set(false);
        this.list.reveal(number);
      },
      onRetry: (id) => this.#retry(id),
      onDrop: (id) => session.dispatch({ type: "dropped", id }),
      onSeen: (number) => {
        this.#marks.handleSeen(number);
        this.#tellMarks();
      },
    });
    this.composer = new Composer({
      page,
      role,
      draft_key: `proofcall.draft.${case_id}.${actor_id}`,
      wording,
      onCommand: (command, files) => {
        this.list.toEnd();
        session.command(command, files);
      },
      onOpen: () => this.#makeRoom(),
    });
    this.list.phraseText = (phrase) => this.composer.phraseText(phrase);
    this.search = new TalkSearch({
      page,
      api,
      case_id,
      state: () => session.state,
      onFound: (numbers) => {
        this.list.showOnly(numbers);
        show(this.composer.element, numbers === null && this.#state?.case?.state !== "ended");
        this.#makeRoom();
      },
      onClose: () => {
        this.search.set(false);
        this.onSearchClosed();
      },
    });
    this.slot = h("div", { class: "talk-cards" });
    this.element = h(
      "div",
      { class: "talk-view" },
      this.search.element,
      this.list.element,
      this.slot,
      this.composer.element,
      this.reach.element,
    );
    this.#failed_key = `proofcall.failed.${case_id}.${actor_id}`;
    const failed = readFailed(this.#failed_key);
    if (failed.length > 0) session.dispatch({ type: "kept", failed });
    session.watch((state, before) => {
      if (state.failed !== before.failed) {
        remember(this.#failed_key, state.failed.length > 0 ? JSON.stringify(state.failed) : null);
      }
      this.#state = state;
      this.#tellMarks();
    });
  }

  /** @param {HTMLElement} parent where the conversation stands from now on */
  moveTo(parent) {
    if (this.element.parentElement === parent) return;
    this.list.keepPlace(() => parent.append(this.element));
  }

  /** Where the focus goes then. */
  onSearchClosed = () => {};

  /** @param {State} state */
  update(state) {
    this.#state = state;
    if (this.search.open && this.search.input.value !== "") this.search.find(state);
    else this.list.update(state);
    this.search.update();
    this.composer.update();
    show(this.composer.element, state.case?.state !== "ended" && !this.search.input.value);
    this.reach.update(state);
    this.#makeRoom();
  }

  /** What is next about the parcel makes room for tools and search, unless it rings. */
  #makeRoom() {
    const { parcel, you } = this.#session.state;
    const rings = parcel.ring?.of.includes(you?.actor_id ?? "") ?? false;
    show(this.slot, rings || !(this.composer.open || this.search.input.value));
  }

  /** What this device still has of its own bytes; also what was refused stays there. @param {string} sha256 @returns {Promise<ArrayBuffer | null>} */
  #bytesOf(sha256) {
    return this.#session.bytesOf(sha256).catch(() => null); // it cannot be read just now: asked again, it may be
  }

  /** Says it anew, with what it was. @param {string} id */
  async #retry(id) {
    const failed = this.#session.state.failed.find((other) => other.id === id);
    if (!failed) return;
    const { command } = failed;
    const files = [];
    for (const { sha256 } of attachmentsOf(/** @type {any} */ (command))) {
      const bytes = await this.#bytesOf(sha256);
      if (bytes === null) {
        // What was written with it stays in sight, to be said in another way.
        this.composer.complain("unreadable");
        return;
      }
      files.push({ sha256, bytes });
    }
    if (!this.#session.state.failed.includes(failed)) return; // tapped twice
    this.#session.dispatch({ type: "dropped", id });
    this.list.toEnd();
    this.#session.command(command, files);
  }

  #tellMarks() {
    clearTimeout(this.#marking);
    const now = performance.now() / 1000;
    const mark = this.#marks.handle(this.#session.state, now);
    if (mark) this.#session.command(mark);
    const wait_s = this.#marks.nextDeadline - now;
    if (wait_s < Infinity) {
      this.#marking = setTimeout(() => this.#tellMarks(), Math.max(0, wait_s) * 1000 + 5);
    }
  }
}

/** Whether a message of somebody else has come just now; notices and answers have sounds of their own. @param {State} state @param {State} before */
export function somethingSaid(state, before) {
  if (!before.synced || state.entries.length <= before.entries.length) return false;
  return messagesSince(state, before.entries.length).length > 0;
}

/** @param {string} key @returns {import("./state.js").Failed[]} */
function readFailed(key) {
  try {
    const failed = JSON.parse(remembered(key) ?? "[]");
    return Array.isArray(failed) ? failed : [];
  } catch {
    return [];
  }
}
