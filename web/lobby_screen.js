// @ts-check
/** Before the call: the own picture, what is agreed to by the tap, and who waits. */

import { copy, h, icon, set, show, text } from "./dom.js";
import { watchLevel } from "./microphone_level.js";
import { updateRefusal } from "./refusal.js";
import { inCall, isElsewhere } from "./state.js";
import { TALK_WORDS } from "./talk_words.js";

/** @typedef {import("./state.js").State} State */

export class LobbyScreen {
  #role;
  #page;
  #shown = false;
  #unwatch = () => {};
  /** @type {MediaStreamTrack | null} */
  #track = null;

  /**
   * @param {{role: "customer" | "courier" | "guest", page: import("./language.js").PageLanguage, onStart: () => void,
   *   onRetry: () => void, onBack: () => void}} options
   */
  constructor({ role, page, onStart, onRetry, onBack }) {
    this.#role = role;
    this.#page = page;
    this.back = h("button", {
      class: "text-button",
      type: "button",
      testid: "to-conversation",
      on: { click: onBack },
    });
    this.title = h("h1");
    this.here = h("p", { class: "quiet" });
    this.slot = h("div", { class: "preview-slot" });
    this.problemTitle = h("h2");
    this.problemText = h("p");
    this.tryAgain = h("button", {
      class: "button",
      type: "button",
      testid: "camera-retry",
      on: { click: onRetry },
    });
    this.copyLink = h("button", { class: "button", type: "button", testid: "copy-link" });
    this.copyLink.addEventListener("click", async () => {
      await copy(location.href);
      text(this.copyLink, page.words.copied);
    });
    this.problem = h(
      "div",
      { class: "problem", testid: "camera-error", role: "alert", hidden: true },
      icon("camera_off"),
      this.problemTitle,
      this.problemText,
      h("div", { class: "row" }, this.tryAgain, this.copyLink),
    );
    this.meterBar = h("span", { class: "meter-bar" });
    this.meterWord = h("span");
    this.meter = h(
      "p",
      { class: "meter", hidden: true },
      icon("microphone"),
      this.meterWord,
      h("span", { class: "meter-track" }, this.meterBar),
    );
    this.asking = h("p", { class: "preview-note" });
    this.consent = h("p", { class: "consent", testid: "consent-text" });
    this.why = h("details", { class: "why" }, h("summary"), h("p"));
    this.start = h("button", {
      class: "button is-accent is-main",
      type: "button",
      testid: "start-button",
      on: { click: onStart },
    });
    this.refusal = h("p", { class: "refusal", role: "alert", testid: "refusal", hidden: true });
    this.element = h(
      "section",
      { class: "screen is-lobby", testid: "lobby" },
      this.back,
      this.title,
      this.here,
      h("div", { class: "preview" }, this.slot, this.asking, this.meter, this.problem),
      h("div", { class: "agree" }, this.consent, this.why),
      this.refusal,
      this.start,
    );
  }

  /** @param {boolean} shown */
  enter(shown) {
    this.#shown = shown;
    this.#watch();
  }

  /** The microphone moves, so that people see it works. @param {MediaStreamTrack | null} track */
  listen(track) {
    this.#track = track;
    this.#watch();
  }

  #watch() {
    this.#unwatch();
    this.#unwatch = () => {};
    show(this.meter, false);
    if (!this.#shown || !this.#track) return;
    this.#unwatch = watchLevel(this.#track, (level) => {
      show(this.meter, level !== null);
      this.meterBar.style.setProperty("--level", String(level ?? 0));
    });
  }

  /** @param {State} state */
  update(state) {
    const { words } = this.#page;
    const role = this.#role;
    const back = inCall(state);
    text(this.back, TALK_WORDS[this.#page.language].to_conversation);
    const elsewhere = isElsewhere(state);
    set(this.element, "data-elsewhere", elsewhere);
    const again = elsewhere ? words.notice.replaced.title : words.lobby_title_again;
    text(this.title, back ? again : words[`lobby_title_${role}`]);
    const waiting = state.people
      .filter((person) => person.online && person.actor_id !== state.you?.actor_id)
      .map((person) => `${words.role[person.role]} ${person.name}`);
    text(
      this.here,
      elsewhere
        ? words.notice.replaced.text
        : waiting.length > 0
          ? words.here_now([...new Set(waiting)].join(words.and))
          : words[`here_nobody_${role}`],
    );
    show(this.asking, state.camera === "asking");
    text(this.asking, words.own_preview_asking);
    text(this.meterWord, words.microphone_moves);
    show(this.problem, state.camera_problem !== null);
    if (state.camera_problem) {
      set(this.problem, "data-code", state.camera_problem);
      text(this.problemTitle, words.camera[state.camera_problem].title);
      text(this.problemText, words.camera[state.camera_problem].text);
      const other_browser = state.camera_problem === "insecure" || state.camera_problem === "web_view";
      show(this.copyLink, other_browser);
      show(this.tryAgain, !other_browser);
      text(this.tryAgain, words.try_again);
      text(this.copyLink, words.copy_link);
    }
    text(this.consent, words.consent);
    text(/** @type {Element} */ (this.why.firstElementChild), words.why);
    text(/** @type {Element} */ (this.why.lastElementChild), words.why_text);
    text(
      this.start,
      elsewhere
        ? words.use_here
        : back
          ? words.continue_here
          : state.camera_problem
            ? words.start_without_camera
            : words.start,
    );
    updateRefusal(this.refusal, state, words);
  }
}
