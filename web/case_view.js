// @ts-check
/** One case at the desk: its call, its log as it grows, and the facts of the chosen entry. */

import { AttachmentFacts } from "./attachment_facts.js";
import { BringIn } from "./bring_in.js";
import { Participation } from "./call.js";
import { DeliveryFacts } from "./delivery_facts.js";
import { h, icon, keyed, set, show, text } from "./dom.js";
import { download } from "./download.js";
import { recordingErased } from "./erasure.js";
import { entryHash } from "./evidence.js";
import { Facts } from "./facts.js";
import { Lightbox } from "./lightbox.js";
import { FILTERS, isPiece, lineBefore, linesOf } from "./log_lines.js";
import { LogSearch } from "./log_search.js";
import { may } from "./may.js";
import { OrderCards } from "./order_cards.js";
import { ORDERS_WORDS } from "./orders_words.js";
import { Pictures } from "./pictures.js";
import { PlaybackSources } from "./playback_sources.js";
import { keepFocusAway, Player } from "./player.js";
import { momentOf, piecesOf, spanOf } from "./recordings.js";
import { duration, foldedSentence, nameOf, sentenceOf } from "./sentences.js";
import { Stage } from "./stage.js";
import { callSeconds, connection, inCall, isSharp, others, recording } from "./state.js";
import { MarkTeller } from "./talk_marks.js";
import { markTap } from "./timings.js";
import { WindowedList } from "./windowed_list.js";
import { wordOf } from "./wording.js";
import { callClock, clockTime, showTimesIn } from "./words.js";

/** @typedef {import("./state.js").State} State */
/** @typedef {import("./protocol.js").Entry} Entry */

const ROW_PX = 32;
const REFUSAL_SHOWN_MS = 6000;
const MAX_TEXT_CHARACTERS = 2000; // PROTOCOL.md

export class CaseView {
  #page;
  #participation;
  #pictures;
  #facts;
  #orders;
  #delivery;
  #attachments;
  #search;
  #bring;
  #lightbox;
  #stage;
  #log;
  #player;
  #sources;
  /** @type {string} */
  #filter = "all_kinds";
  /** @type {number | null} */
  #chosen = null;
  #follows_press = false;
  #exporting = false;
  #exported_percent = 0;
  #export_failed = false;
  /** Entries whose own hash and link to the one before were recomputed here. @type {Map<string, boolean>} */
  #linked = new Map();
  /** The same of all pieces of a call, by its number. @type {Map<number, {count: number, broken: boolean}>} */
  #linked_pieces = new Map();
  /** When what each entry tells was so, by number less one. @type {number[]} */
  #moments = [];
  /** The line of the log that the playback is at. @type {string | null} */
  #at_cursor = null;
  /** The lines that the log shows. @type {readonly string[]} */
  #lines = [];
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #ticking;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #forgetting;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #marking;
  /** The entry to choose, and the order to show, as soon as they are here. @type {number | null} */
  #wanted = null;
  #marks = new MarkTeller();
  #wording;
  #voucher_failed = false;
  #onTitle;

  /**
   * @param {{
   *   case_id: string, token: string, actor_id: string, page: import("./language.js").PageLanguage,
   *   wording: import("./wording.js").WordingSource, desk: import("./api.js").Api | null,
   *   onTitle: (title: string) => void,
   * }} options desk: the desk's own way to the service, if this page has one
   */
  constructor({ case_id, token, actor_id, page, wording, desk, onTitle }) {
    this.case_id = case_id;
    this.#page = page;
    this.#onTitle = onTitle;
    this.#wording = wording;
    this.#stage = new Stage({ onTarget: () => this.update(), roomy: true });
    this.#participation = new Participation({
      case_id,
      actor_id,
      token,
      facing: "user",
      consent: () => ({ statement: page.words.consent, language: page.language }),
      onSlots: (received) => this.#stage.setSlots(received),
      onOwn: (tracks) => this.#stage.setOwn(tracks, true),
    });
    const { api } = this.#participation;
    this.#pictures = new Pictures(api, case_id);
    this.#lightbox = new Lightbox(this.#pictures);
    this.#sources = new PlaybackSources((number) => this.#choose(number));
    this.#player = new Player({
      api,
      case_id,
      onCursor: (at_ms) => this.#followCursor(at_ms),
      onChange: () => this.update(),
    });
    const command = (/** @type {import("./protocol.js").Command} */ given) =>
      void this.#participation.session.command(given);
    this.#orders = new OrderCards({ page, command, onShow: (number) => this.#choose(number) });
    this.#delivery = new DeliveryFacts({
      page,
      command,
      onShow: (number) => this.#choose(number),
      onVoucher: () => this.#openVoucher(),
    });
    this.#attachments = new AttachmentFacts({
      page,
      api,
      case_id,
      pictures: this.#pictures,
      onChange: () => this.update(),
    });
    this.#search = new LogSearch({
      page,
      across: false,
      ask: (words, before) => api.searchCase(case_id, words, before),
      onOpen: ({ number }) => this.#choose(number),
    });
    this.#bring = new BringIn({
      page,
      second: desk !== null,
      make: (who, name, expires_in_s) => {
        if (who === "guest") return api.issueLink(case_id, { role: "guest", name, expires_in_s });
        const role = this.#participation.state.you?.role ?? "qa";
        return (desk ?? api).issueLink(case_id, { role, name, expires_in_s, colleague: true });
      },
    });
    this.#facts = new Facts({
      api,
      case_id,
      pictures: this.#pictures,
      sources: this.#sources.element,
      attachments: this.#attachments,
      delivery: this.#delivery.element,
      placeWords: () => ORDERS_WORDS[page.language],
      onChange: () => this.update(),
      onChoose: (number) => this.#choose(number),
      onPicture: (entry) => this.#lightbox.open(entry, this.#participation.state, page.words),
    });
    this.#log = new WindowedList({
      row_px: ROW_PX,
      make: (key) => this.#makeRow(key),
      update: (row, key) => this.#updateRow(row, key),
    });

    this.waybill = h("h1", { class: "case-title" });
    this.connectionWord = h("span");
    this.connectionState = h(
      "p",
      { class: "state", testid: "connection-state", role: "status" },
      h("span", { class: "state-mark" }),
      this.connectionWord,
    );
    this.clock = h("p", { class: "clock", testid: "call-clock" });
    this.recordWord = h("span");
    this.recordState = h(
      "p",
      { class: "state record", testid: "record-state" },
      h("span", { class: "state-mark" }),
      this.recordWord,
    );
    this.join = button("join-live", "button is-accent", () => this.#openJoin());
    this.mute = button("mute", "button", () =>
      this.#participation.muteAudio(!this.#participation.state.audio_muted),
    );
    this.leave = button("hangup", "button", () => this.#participation.hangUp());
    this.export = button("export-button", "button", () => this.#export());
    this.bring = button("bring-open", "button", () => this.#bring.open());
    this.end = button("end-case", "button", () => this.endDialog.showModal());
    this.shutters = h("div", { class: "shutters" });
    this.calls = h("div", { class: "calls", testid: "calls", role: "group", hidden: true });
    keepFocusAway(this.calls);
    this.refusal = h("p", { class: "refusal", role: "alert", testid: "refusal", hidden: true });
    this.alarm = h("p", { class: "alarm", role: "alert", hidden: true });
    this.cameraError = h("p", { class: "refusal", role: "alert", testid: "camera-error", hidden: true });
    this.logTitle = h("h2");
    this.filter = h("select", { class: "select", testid: "log-filter" });
    for (const name of Object.keys(FILTERS)) this.filter.append(h("option", { value: name }));
    this.filter.addEventListener("change", () => {
      this.#filter = this.filter.value;
      this.filter.blur();
      this.update();
    });
    this.newest = button("newest", "text-button", () => this.#chooseNewest());
    this.find = h("input", {
      class: "input log-find",
      type: "search",
      testid: "case-search",
      autocomplete: "off",
    });
    this.find.addEventListener("input", () => this.#search.look(this.find.value));
    this.find.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === "ArrowDown") {
        if (this.#search.focus()) event.preventDefault();
      }
    });
    this.phrases = h("div", { class: "phrases", testid: "phrases", role: "group" });
    this.logEmpty = h("p", { class: "quiet log-empty" });
    this.input = h("input", {
      class: "input",
      testid: "text-input",
      maxlength: MAX_TEXT_CHARACTERS,
      autocomplete: "off",
    });
    this.send = h("button", { class: "button", testid: "text-send", type: "submit" });
    this.form = h("form", { class: "desk-form" }, this.input, this.send);
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      const said = this.input.value.trim();
      if (said === "") return;
      this.input.value = "";
      this.#participation.session.command({ kind: "text", text: said });
    });

    this.joinTitle = h("h2");
    this.joinText = h("p");
    this.consent = h("p", { class: "consent", testid: "consent-text" });
    this.watch = button("join-watch", "button", () => this.#join({ audio: false, video: false }));
    this.voice = button("join-voice", "button is-accent", () => this.#join({ audio: true, video: false }));
    this.camera = button("join-camera", "button", () => this.#join({ audio: true, video: true }));
    this.cancelJoin = button("join-cancel", "text-button", () => this.joinDialog.close());
    this.joinDialog = h(
      "dialog",
      { class: "dialog", testid: "join-dialog" },
      this.joinTitle,
      this.joinText,
      this.consent,
      h("div", { class: "row" }, this.voice, this.camera, this.watch, this.cancelJoin),
    );
    this.joinDialog.addEventListener("close", () => {
      if (!this.#participation.state.wants_call) this.#participation.media.leave();
    });
    this.endTitle = h("h2");
    this.endText = h("p");
    this.endNow = button("end-now", "button is-accent", () => {
      this.endDialog.close();
      this.#participation.session.command({ kind: "end_case" });
    });
    this.cancelEnd = button("end-cancel", "text-button", () => this.endDialog.close());
    this.endDialog = h(
      "dialog",
      { class: "dialog", testid: "end-dialog" },
      this.endTitle,
      this.endText,
      h("div", { class: "row" }, this.endNow, this.cancelEnd),
    );
    this.main = h(
      "section",
      { class: "desk-case", testid: "case" },
      h(
        "header",
        { class: "case-head" },
        h("div", { class: "case-line" }, this.waybill, this.connectionState, this.clock, this.recordState),
        h("div", { class: "row" }, this.join, this.mute, this.leave, this.bring, this.export, this.end),
      ),
      this.alarm,
      this.refusal,
      this.cameraError,
      this.#stage.element,
      this.shutters,
      this.calls,
      this.#player.element,
      this.#orders.element,
      h("header", { class: "log-head" }, this.logTitle, this.find, this.filter, this.newest),
      this.#search.element,
      this.logEmpty,
      this.#log.element,
      this.phrases,
      this.form,
    );
    this.noticeTitle = h("h1");
    this.noticeText = h("p");
    this.noticeButton = button("notice-button", "button", () => this.#takeOver());
    this.notice = h(
      "section",
      { class: "screen is-notice", testid: "case-notice", hidden: true },
      icon("alert"),
      this.noticeTitle,
      this.noticeText,
      this.noticeButton,
    );
    this.element = h(
      "div",
      { class: "desk-open" },
      this.main,
      this.#facts.element,
      this.notice,
      this.joinDialog,
      this.endDialog,
      this.#bring.element,
      this.#lightbox.element,
    );
    this.#log.element.addEventListener("scroll", () => this.#mark(), { passive: true });
    this.#participation.session.watch((state, before) => this.#follow(state, before));
  }

  start() {
    const { session, media, kept } = this.#participation;
    session.start();
    if (kept) {
      media.start();
      this.#participation.ask(kept);
      this.#stage.unmute();
    }
    this.#ticking = setInterval(() => {
      const { state } = this.#participation;
      this.#updateClock();
      this.#orders.update(state, this.#wording.current, Date.now() + state.offset_ms);
    }, 1000);
    this.update();
  }

  close() {
    clearInterval(this.#ticking);
    clearTimeout(this.#forgetting);
    clearTimeout(this.#marking);
    this.#player.close();
    this.#participation.close();
    this.#pictures.release();
  }

  /** Chooses an entry, now or when it is here. @param {number} number */
  show(number) {
    this.#wanted = number;
    this.#showWanted();
  }

  #showWanted() {
    const { entries, synced } = this.#participation.state;
    const number = this.#wanted;
    if (number === null || !synced || number > entries.length) return;
    this.#wanted = null;
    this.#choose(number);
    this.#orders.reveal(number);
  }

  /** @param {string} key @returns {boolean} whether it meant something */
  handleKey(key) {
    const { state } = this.#participation;
    if (this.#player.handleKey(key)) return true;
    switch (key) {
      case "p":
        return this.#playNewest();
      case "j":
        this.#step(1);
        return true;
      case "k":
        this.#step(-1);
        return true;
      case "g":
        this.#chooseNewest();
        return true;
      case " ":
        this.#press(this.#stage.target);
        return true;
      case "t":
        this.input.focus();
        return true;
      case "o": {
        const first = state.parcel.orders.find(({ state }) => state !== "closed");
        if (!first) return false;
        this.show(first.number);
        return true;
      }
      case "f":
        this.find.focus();
        return true;
      case "m":
        if (!this.mute.hidden) this.mute.click();
        return true;
      case "l":
        if (state.wants_call) this.#participation.hangUp();
        else if (!this.join.hidden) this.#openJoin();
        return true;
      case "1":
      case "2":
      case "3":
        this.#stage.choose(others(state)[Number(key) - 1] ?? null);
        return true;
      default:
        return false;
    }
  }

  update() {
    const { words } = this.#page;
    const { desk } = words;
    const orders = ORDERS_WORDS[this.#page.language];
    const { state } = this.#participation;
    showTimesIn(state.case?.time_zone);
    const role = state.you?.role;
    const is_dispatch = role === "dispatch";
    const title = is_dispatch ? orders.title_dispatch : desk.title;
    const gone = ["bad_link", "revoked", "replaced", "erased", "outdated"].includes(state.socket);
    show(this.notice, gone);
    show(this.main, !gone);
    show(this.#facts.element, !gone);
    if (gone) {
      const reason = /** @type {keyof typeof words.notice} */ (state.socket);
      text(this.noticeTitle, words.notice[reason].title);
      text(this.noticeText, words.notice[reason].text);
      show(this.noticeButton, reason === "replaced" || reason === "outdated");
      text(this.noticeButton, reason === "replaced" ? words.use_here : words.reload);
      return;
    }
    const joined = inCall(state);
    const word = connection(state);
    const ended = state.case?.state === "ended";
    const waybill = state.case && (state.case.waybill || desk.erased_case);
    text(this.waybill, waybill ?? "…");
    this.#onTitle(waybill ? `${waybill} · ${title}` : title);
    set(this.connectionState, "data-state", word);
    text(this.connectionWord, words.connection[word]);
    const broken = recording(state) === "broken";
    set(this.recordState, "data-state", broken ? "broken" : "call");
    text(this.recordWord, broken ? words.record_broken : words.record_call);
    show(this.recordState, state.call !== null);
    this.#updateClock();
    show(this.alarm, state.alarm);
    text(this.alarm, words.alarm);
    this.#updateRefusal(state);
    show(this.cameraError, state.camera_problem !== null && state.wants_call);
    if (state.camera_problem) {
      set(this.cameraError, "data-code", state.camera_problem);
      const { title, text: what } = words.camera[state.camera_problem];
      text(this.cameraError, `${title}${words.colon}${what}`);
    }

    show(this.join, !ended && !state.wants_call);
    text(this.join, desk.join_live);
    show(this.mute, state.wants_call && state.has_audio);
    text(this.mute, state.audio_muted ? words.unmute : words.mute);
    set(this.mute, "aria-pressed", String(state.audio_muted));
    show(this.leave, state.wants_call);
    text(this.leave, desk.leave);
    text(this.export, this.#exporting ? desk.exporting(this.#exported_percent) : desk.export);
    this.export.disabled = this.#exporting || !state.synced;
    show(this.export, !is_dispatch);
    show(this.bring, !ended && state.synced);
    text(this.bring, orders.bring);
    show(this.end, !ended && !is_dispatch);
    text(this.end, desk.end_case);

    show(this.#stage.element, state.wants_call);
    this.#stage.update(state, words, {
      waiting: joined ? desk.nobody_in_call : words.connection[word],
    });
    set(this.#stage.element, "data-count", others(state).length + (state.has_video ? 1 : 0));
    this.#updateShutters(state);
    if (may("record_playback", role)) this.#updateCalls(state);
    this.#orders.update(state, this.#wording.current, Date.now() + state.offset_ms);
    this.#delivery.update(state, this.#wording.current);
    this.#player.update(state, words);
    this.#sources.update(this.#player.sources, (source) => this.#pieceNow(source.key), words);

    text(this.logTitle, desk.log);
    for (const option of this.filter.options) {
      const own = orders.filter[/** @type {keyof typeof orders.filter} */ (option.value)];
      text(option, own ?? desk[/** @type {"all_kinds"} */ (option.value)]);
    }
    set(this.filter, "aria-label", desk.log);
    text(this.newest, desk.newest);
    this.#lines = linesOf(state, this.#filter);
    show(this.logEmpty, this.#lines.length === 0);
    text(this.logEmpty, state.synced ? words.conversation_empty : words.connection.connecting);
    this.#log.set(this.#lines);
    set(this.find, "placeholder", orders.search_case_hint);
    set(this.find, "aria-label", orders.search_case);
    this.#search.update(state.case?.time_zone);
    this.#updatePhrases(state);
    show(this.form, !ended);
    text(this.send, words.send);
    set(this.input, "placeholder", words.type_here);
    set(this.input, "aria-label", words.type_here);

    text(this.joinTitle, desk.join_title);
    text(this.joinText, is_dispatch ? orders.join_text_dispatch : desk.join_text);
    text(this.consent, words.consent);
    text(this.watch, desk.join_watch);
    text(this.voice, desk.join_voice);
    text(this.camera, desk.join_camera);
    text(this.cancelJoin, desk.cancel);
    text(this.endTitle, desk.end_title);
    text(this.endText, desk.end_text);
    text(this.endNow, desk.end_now);
    text(this.cancelEnd, desk.cancel);
    this.#facts.update(state, words);
  }

  /** @param {State} state @param {State} before */
  #follow(state, before) {
    if (state.refusal && state.refusal !== before.refusal && this.#orders.handleRefusal(state.refusal)) {
      this.#participation.session.dispatch({ type: "refusal_seen" });
    } else if (state.refusal && state.refusal !== before.refusal) {
      clearTimeout(this.#forgetting);
      const forget = () => this.#participation.session.dispatch({ type: "refusal_seen" });
      this.#forgetting = setTimeout(forget, REFUSAL_SHOWN_MS);
    }
    if (state.entries.length < before.entries.length) this.#forget();
    for (const entry of state.entries.slice(this.#moments.length)) {
      this.#moments.push(momentOf(entry));
      this.#link(entry, state.entries);
      const mine = entry.envelope.actor_id === state.you?.actor_id;
      if (this.#follows_press && mine && entry.envelope.kind.startsWith("frame_")) {
        this.#follows_press = false;
        this.#choose(entry.envelope.number);
      }
    }
    if (!state.wants_call && before.wants_call) this.#stage.silence();
    if (state.wants_call && !before.wants_call) this.#player.close();
    this.update();
    this.#showWanted();
    this.#mark();
  }

  /** Others are told up to where this desk has the log, and has looked at it. */
  #mark() {
    const { state, session } = this.#participation;
    // A filtered log shows the last of its kind, and not what lies between.
    if (document.visibilityState === "visible" && this.#filter === "all_kinds") {
      this.#marks.handleSeen(Number(this.#log.lastShown() ?? 0));
    }
    const mark = this.#marks.handle(state, performance.now() / 1000);
    if (mark) session.command(mark);
    clearTimeout(this.#marking);
    const wait_s = this.#marks.nextDeadline - performance.now() / 1000;
    if (wait_s < Infinity) this.#marking = setTimeout(() => this.#mark(), Math.max(0, wait_s) * 1000 + 5);
  }

  /** @param {State} state */
  #updatePhrases(state) {
    const role = state.you?.role;
    const known = (role && this.#wording.current?.rules.phrases[role]) ?? [];
    show(this.phrases, known.length > 0 && state.case?.state !== "ended");
    set(this.phrases, "aria-label", ORDERS_WORDS[this.#page.language].phrases);
    keyed(
      this.phrases,
      known,
      (phrase) =>
        h("button", {
          class: "phrase",
          type: "button",
          testid: "phrase",
          "data-phrase": phrase,
          on: { click: () => this.#participation.session.command({ kind: "phrase", phrase }) },
        }),
      (item, code) => text(item, wordOf(this.#wording.current, `phrase.${code}`, this.#page.language)),
    );
  }

  async #openVoucher() {
    // The window belongs to the tap; its address comes when the service has told it.
    const beside = window.open("", "_blank");
    this.#voucher_failed = false;
    try {
      const { url } = await this.#participation.api.voucherOf(this.case_id);
      if (beside) beside.location.href = url;
      else location.href = url;
    } catch {
      beside?.close();
      this.#voucher_failed = true;
    }
    this.update();
  }

  /** The log is read anew. */
  #forget() {
    this.#moments = [];
    this.#linked.clear();
    this.#linked_pieces.clear();
  }

  /** @param {Entry} entry @param {readonly Entry[]} entries */
  async #link(entry, entries) {
    if (globalThis.crypto?.subtle === undefined) return;
    const { number, previous_hash } = entry.envelope;
    const previous = number === 1 ? "0".repeat(64) : entries[number - 2]?.hash;
    const holds = previous === previous_hash && (await entryHash(entry.envelope)) === entry.hash;
    this.#linked.set(entry.hash, holds);
    if (isPiece(entry.envelope.kind)) {
      const call = entry.body?.call_number;
      const { count, broken } = this.#linked_pieces.get(call) ?? { count: 0, broken: false };
      this.#linked_pieces.set(call, { count: count + 1, broken: broken || !holds });
    }
    const row = this.#log.rows.querySelector(`[data-number="${number}"]`);
    if (row instanceof HTMLElement) this.#updateRow(row, String(number));
  }

  /** @param {string} key */
  #makeRow(key) {
    return h(
      "button",
      {
        class: "log-row",
        type: "button",
        testid: "log-entry",
        tabindex: -1,
        on: { click: () => this.#choose(Number(key)) },
      },
      h("span", { class: "log-time" }),
      h("span", { class: "log-number" }),
      h("span", { class: "log-kind" }),
      h("span", { class: "log-who" }),
      h("span", { class: "log-text" }),
      h("span", { class: "log-mark" }),
    );
  }

  /** @param {HTMLElement} row @param {string} key */
  #updateRow(row, key) {
    const { state } = this.#participation;
    const { words } = this.#page;
    const entry = state.entries[Number(key) - 1];
    const [time, number, shape, who, what, mark] = /** @type {HTMLElement[]} */ (Array.from(row.children));
    if (!entry || !time || !number || !shape || !who || !what || !mark) return;
    const { envelope } = entry;
    set(row, "data-number", envelope.number);
    set(row, "data-kind", envelope.kind);
    set(row, "aria-current", envelope.number === this.#chosen ? "true" : null);
    text(time, clockTime(envelope.recorded_at, state.case?.time_zone));
    text(number, String(envelope.number));
    set(row, "data-now", key === this.#at_cursor);
    const folded = isPiece(envelope.kind) && this.#filter !== "only_recording";
    const every = folded && envelope.kind === "segment_sealed";
    const mine = envelope.actor_id === state.you?.actor_id;
    text(who, every ? "" : mine ? words.you : words.role[envelope.role]);
    text(what, (folded ? foldedSentence : sentenceOf)(entry, state, words));
    const holds = every ? this.#allPiecesLinked(entry) : this.#linked.get(entry.hash);
    const name = holds === undefined ? "" : holds ? "check" : "cross";
    set(mark, "data-state", holds === undefined ? null : holds ? "passed" : "failed");
    if (mark.dataset.icon !== name) {
      mark.dataset.icon = name;
      mark.replaceChildren(...(name ? [icon(/** @type {"check"} */ (name))] : []));
    }
  }

  /** Of the line that stands for all pieces of a call: undefined until each is checked. @param {Entry} entry */
  #allPiecesLinked({ body }) {
    const call = this.#participation.state.recordings.calls.find(
      ({ call_number }) => call_number === body?.call_number,
    );
    const linked = this.#linked_pieces.get(body?.call_number);
    if (!call || !linked) return undefined;
    if (linked.broken) return false;
    const { sealed, lost } = piecesOf(call);
    return linked.count >= sealed + lost ? true : undefined;
  }

  /** @param {number} number */
  #choose(number) {
    const { state } = this.#participation;
    const entry = state.entries[number - 1];
    if (!entry) return;
    this.#chosen = number;
    this.#facts.choose(entry, state.entries);
    this.#log.reveal(String(number));
    this.#player.seekTo(this.#moments[number - 1] ?? Number.NaN);
    this.update();
  }

  #chooseNewest() {
    const last = this.#lines.at(-1);
    if (last) this.#choose(Number(last));
  }

  /** @param {number} step */
  #step(step) {
    const lines = this.#lines;
    const line = this.#chosen === null ? null : lineBefore(lines, this.#chosen);
    const at = line === null ? -1 : lines.indexOf(line);
    const next = at < 0 ? lines.at(-1) : lines[Math.max(0, Math.min(lines.length - 1, at + step))];
    if (next) this.#choose(Number(next));
  }

  // A moment in the recording and a moment in the log are the same cursor.

  /** @param {number} at_ms */
  #followCursor(at_ms) {
    const before = this.#at_cursor;
    const line = this.#player.call_number === null ? null : this.#lineAt(at_ms);
    if (line !== before) {
      const watched = before === null || this.#log.shows(before);
      this.#at_cursor = line;
      for (const key of [before, line]) {
        const row = key && this.#log.rows.querySelector(`[data-key="${key}"]`);
        if (row instanceof HTMLElement) this.#updateRow(row, row.dataset.key ?? "");
      }
      if (line !== null && watched) this.#log.reveal(line);
    }
    const { words } = this.#page;
    this.#sources.update(this.#player.sources, (source) => this.#pieceNow(source.key), words);
  }

  /** The last line of what had happened by then. @param {number} at_ms */
  #lineAt(at_ms) {
    return this.#lines.findLast((line) => (this.#moments[Number(line) - 1] ?? Infinity) <= at_ms) ?? null;
  }

  /** @param {string} key */
  #pieceNow(key) {
    return this.#player.pieceNow(key, (number) => this.#moments[number - 1] ?? Infinity);
  }

  #playNewest() {
    const { state } = this.#participation;
    const call = state.recordings.calls.at(-1);
    if (!call || state.wants_call || !may("record_playback", state.you?.role)) return false;
    this.#player.open(call);
    return true;
  }

  /** @param {State} state */
  #updateCalls(state) {
    const { words } = this.#page;
    const { player } = words.desk;
    const calls = new Map(state.recordings.calls.map((call) => [String(call.call_number), call]));
    show(this.calls, calls.size > 0 && !state.wants_call);
    set(this.calls, "aria-label", player.calls);
    keyed(
      this.calls,
      [...calls.keys()],
      (key) =>
        h(
          "button",
          {
            class: "call-chip",
            type: "button",
            testid: "play-call",
            "data-call": key,
            on: { click: () => this.#toggleCall(Number(key)) },
          },
          icon("play"),
          h("span"),
          h("span", { class: "quiet" }),
        ),
      (chip, key) => {
        const call = calls.get(key);
        const [, title, facts] = Array.from(chip.children);
        if (!call || !title || !facts) return;
        set(chip, "aria-pressed", String(this.#player.call_number === call.call_number));
        const running = call.ended_ms === null;
        text(title, (running ? player.open_running : player.open)(call.call_number));
        const { began_ms, ended_ms } = spanOf(call);
        const { lost } = piecesOf(call);
        const told = [clockTime(began_ms, state.case?.time_zone), duration(ended_ms - began_ms, words)];
        if (running) told.push(player.running);
        if (call.aborted) told.push(player.aborted);
        if (recordingErased(call.call_number, state.entries)) told.push(player.erased);
        if (lost > 0) told.push(player.lost_pieces(lost));
        text(facts, told.join(" · "));
      },
    );
  }

  /** @param {number} call_number */
  #toggleCall(call_number) {
    const call = this.#participation.state.recordings.calls.find((call) => call.call_number === call_number);
    if (!call || this.#player.call_number === call_number) return this.#player.close();
    this.#player.open(call);
    if (this.calls.contains(document.activeElement)) this.#player.play.focus();
    return undefined;
  }

  /** @param {string | null} of */
  #press(of) {
    const { state, session } = this.#participation;
    if (of === null || state.socket !== "live" || !state.call?.in_call.includes(of)) return;
    if (!may("take_frame", state.you?.role) && !inCall(state)) return;
    this.#follows_press = true;
    session.command({ kind: "take_frame", of });
  }

  /** @param {State} state */
  #updateShutters(state) {
    const { words } = this.#page;
    const present = others(state);
    show(
      this.shutters,
      state.case?.state !== "ended" && (present.length > 0 || this.#player.call_number === null),
    );
    keyed(
      this.shutters,
      present.length > 0 ? present : ["nobody"],
      (id) =>
        id === "nobody"
          ? h("p", { class: "quiet" })
          : h(
              "div",
              { class: "shutter-chip" },
              h("button", {
                class: "chip",
                type: "button",
                testid: "person",
                on: { click: () => this.#stage.choose(id) },
              }),
              h("button", {
                class: "button chip-shutter",
                type: "button",
                testid: "shutter",
                "data-of": id,
                on: { click: () => this.#press(id) },
              }),
              h(
                "button",
                {
                  class: "button chip-sharp",
                  type: "button",
                  testid: "sharp",
                  "data-of": id,
                  on: { click: () => this.#participation.session.sharpen(id) },
                },
                icon("sharp"),
                h("span"),
              ),
            ),
      (item, id) => {
        if (id === "nobody") return text(item, words.desk.nobody_in_call);
        const [name, press, sharp] = /** @type {HTMLElement[]} */ (Array.from(item.children));
        if (!name || !press || !sharp) return;
        const role = state.known[id]?.role ?? "system";
        text(name, `${present.indexOf(id) + 1} ${words.role[role]} ${state.known[id]?.name ?? ""}`);
        set(item, "data-chosen", id === this.#stage.target);
        const sealing = state.shots.some((shot) => shot.of === id);
        show(press, may("take_frame", state.you?.role) || inCall(state));
        set(press, "disabled", state.socket !== "live");
        text(press, sealing ? words.sealing : words.shutter);
        set(press, "aria-label", words.shutter_of(nameOf(state, id, words)));
        const on = isSharp(state, id);
        show(sharp, inCall(state)); // who does not watch needs no detail
        set(sharp, "disabled", state.socket !== "live");
        set(sharp, "aria-pressed", String(on));
        set(sharp, "title", words.sharp_of(nameOf(state, id, words)));
        text(/** @type {Element} */ (sharp.lastElementChild), on ? words.sharp_on : words.sharp);
        return undefined;
      },
    );
  }

  /** @param {State} state */
  #updateRefusal(state) {
    const { refused, desk } = this.#page.words;
    show(this.refusal, state.refusal !== null || this.#export_failed || this.#voucher_failed);
    if (this.#export_failed) text(this.refusal, desk.export_failed);
    if (this.#voucher_failed) text(this.refusal, ORDERS_WORDS[this.#page.language].voucher_failed);
    if (!state.refusal) return;
    const code = /** @type {keyof typeof refused} */ (
      state.refusal.code in refused ? state.refusal.code : "other"
    );
    set(this.refusal, "data-code", state.refusal.code);
    text(this.refusal, refused[code]);
  }

  #updateClock() {
    const { state } = this.#participation;
    show(this.clock, state.call !== null);
    text(this.clock, callClock(callSeconds(state, Date.now())));
  }

  /** The media connect while the sentence is read. */
  #openJoin() {
    this.#participation.media.start();
    this.joinDialog.showModal();
  }

  /** @param {{audio: boolean, video: boolean}} kinds */
  #join(kinds) {
    markTap();
    this.#stage.watchFirstFrame();
    this.#stage.unmute();
    this.#participation.join(kinds);
    this.#participation.ask(kinds);
    this.joinDialog.close();
  }

  #takeOver() {
    if (this.#participation.state.socket !== "replaced") return location.reload();
    this.#participation.session.start();
    return undefined;
  }

  async #export() {
    const { state, api } = this.#participation;
    this.#exporting = true;
    this.#exported_percent = 0;
    this.#export_failed = false;
    this.update();
    try {
      const archive = await download(await api.exportCase(this.case_id), (share) => {
        const percent = Math.floor(100 * share);
        if (percent === this.#exported_percent) return;
        this.#exported_percent = percent;
        this.update();
      });
      const address = URL.createObjectURL(archive);
      h("a", { href: address, download: `${state.case?.waybill ?? "case"}-${this.case_id}.zip` }).click();
      setTimeout(() => URL.revokeObjectURL(address), 60_000); // long enough for any browser to have taken it
    } catch {
      this.#export_failed = true;
    }
    this.#exporting = false;
    this.update();
  }
}

/** @param {string} testid @param {string} style @param {() => void} onClick */
function button(testid, style, onClick) {
  return h("button", { class: style, type: "button", testid, on: { click: onClick } });
}
