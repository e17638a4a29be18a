// @ts-check
/**
 * The sheets of the delivery: what a card's button asks for before anything is said. Each keeps what was put into it
 * until it is sent, and sends one command, with the bytes of its photos.
 */

import { AttachmentPicker } from "./attachment_picker.js";
import { timeOf } from "./capture.js";
import { h, icon, set, show, text } from "./dom.js";
import { PlaceField, Tiles, TimeField } from "./parcel_fields.js";
import { sayTime } from "./parcel_times.js";
import { PARCEL_WORDS } from "./parcel_words.js";
import { said } from "./sentences.js";
import { reportable, wordOf } from "./wording.js";

/** @typedef {import("./protocol.js").Command} Command */
/** @typedef {import("./protocol.js").Role} Role */
/** @typedef {import("./state.js").State} State */
/** @typedef {import("./wording.js").Wording} Wording */
/** @typedef {{sha256: string, bytes: ArrayBuffer}} File */

/**
 * What all sheets are given: `send` says the command, `wording` is what is known of the service's words by now.
 * @typedef {{
 *   page: import("./language.js").PageLanguage, role: Role, state: () => State, wording: () => Wording | null,
 *   now: () => number, send: (command: Command, files?: File[]) => void,
 * }} Desk
 */

const MAX_TEXT_CHARACTERS = 2000; // PROTOCOL.md
const MAX_ATTACHMENTS = 12; // of one entry, PROTOCOL.md

/** A dialog from below: a title, fields, and one button that sends. */
class Sheet {
  /** What was sent last, and how to put it back into the fields. @type {{command: Command, giveBack: () => void} | null} */
  #sent = null;
  #giveBack = () => {};
  #settling = false;

  /** @param {Desk} desk @param {{testid: string, send: string}} ids */
  constructor(desk, { testid, send }) {
    this.desk = desk;
    this.title = h("h2", { class: "parcel-sheet-title", id: `${testid}-title`, tabindex: -1 });
    this.close = h(
      "button",
      {
        class: "icon-button",
        type: "button",
        testid: "sheet-cancel",
        on: { click: () => this.element.close() },
      },
      icon("close"),
    );
    this.fields = h("div", { class: "parcel-fields" });
    this.complaint = h("p", { class: "refusal", role: "alert", testid: "sheet-complaint", hidden: true });
    this.button = h("button", { class: "button is-accent is-main", type: "submit", testid: send });
    this.element = h(
      "dialog",
      {
        class: "parcel-sheet",
        testid,
        "aria-labelledby": `${testid}-title`,
        on: {
          click: (/** @type {MouseEvent} */ event) => event.target === this.element && this.element.close(),
          close: () => this.settle(), // a microphone that nobody sees must not run on
        },
      },
      h(
        "form",
        {
          class: "parcel-sheet-form",
          novalidate: true,
          on: {
            submit: (/** @type {SubmitEvent} */ event) => {
              event.preventDefault();
              this.#submit();
            },
          },
        },
        h("header", { class: "parcel-sheet-head" }, this.title, this.close),
        this.fields,
        h("footer", { class: "parcel-sheet-foot" }, this.complaint, this.button),
      ),
    );
  }

  open() {
    this.complain("");
    this.update();
    if (!this.element.open) this.element.showModal();
    this.title.focus();
  }

  get words() {
    return PARCEL_WORDS[this.desk.page.language];
  }

  /** @param {string} what */
  complain(what) {
    show(this.complaint, what !== "");
    text(this.complaint, what);
  }

  /** What is still being said into it is kept before anything else happens. */
  async settle() {}

  /** In the words of this moment. */
  update() {
    set(this.close, "aria-label", this.words.close);
  }

  /** What is still missing, in words; "" if it may be sent. */
  missing() {
    return "";
  }

  /** Sends, by `say`; the sheet is empty afterwards. */
  send() {}

  /** How to put what is in the fields now back into them. @returns {() => void} */
  keep() {
    return () => {};
  }

  /** @param {Command} command @param {File[]} [files] */
  say(command, files = []) {
    this.#sent = { command, giveBack: this.#giveBack };
    this.desk.send(command, files);
  }

  /** The service did not take this: if it is from here, it stands in the fields again. @param {Command} command */
  handleRefused(command) {
    // It may come back from the browser's database: the same, and another object.
    if (this.#sent === null || JSON.stringify(this.#sent.command) !== JSON.stringify(command)) return;
    this.#sent.giveBack();
    this.#sent = null;
    this.update();
  }

  async #submit() {
    if (this.#settling) return; // a second tap meanwhile would say it twice
    this.#settling = true;
    await this.settle();
    this.#settling = false;
    const missing = this.missing();
    this.complain(missing);
    if (missing !== "") return;
    this.#giveBack = this.keep();
    this.send();
    this.element.close();
  }
}

/** @param {string} testid */
function textField(testid) {
  const label = h("span", { class: "parcel-label" });
  const input = h("textarea", {
    class: "input parcel-text",
    testid,
    rows: 2,
    maxlength: MAX_TEXT_CHARACTERS,
  });
  const element = h("label", { class: "parcel-field" }, label, input);
  return {
    element,
    label,
    input,
    /** What was written; undefined for nothing. */
    get value() {
      const written = input.value.trim();
      return written === "" ? undefined : written;
    },
  };
}

/** @param {Desk} desk @param {boolean} voice @param {() => void} onChange */
function picker({ page }, voice, onChange) {
  const label = h("p", { class: "parcel-label" });
  const attachments = new AttachmentPicker({ page, voice, max: MAX_ATTACHMENTS, onChange });
  return {
    label,
    attachments,
    element: h("div", { class: "parcel-field" }, label, attachments.element),
    settle: () => attachments.settle(),
    /** What goes into the command, and the bytes beside it. */
    get taken() {
      return {
        attachments: attachments.taken.map(({ attachment }) => attachment),
        files: attachments.taken.map(({ attachment, bytes }) => ({ sha256: attachment.sha256, bytes })),
      };
    },
  };
}

/**
 * How to put these back as they are now; what the person has begun since stays.
 * @param {{tiles?: Tiles, detail: ReturnType<typeof textField>, picker?: {attachments: AttachmentPicker}}} fields
 */
function keeper({ tiles, detail, picker }) {
  const chosen = tiles?.chosen ?? null;
  const written = detail.input.value;
  const taken = picker?.attachments.taken ?? [];
  return () => {
    if (tiles) tiles.chosen ??= chosen;
    detail.input.value ||= written;
    if (picker && picker.attachments.taken.length === 0) picker.attachments.taken = taken;
  };
}

/** A choice that wants more: when, or who. */
export class AnswerSheet extends Sheet {
  /** @type {import("./parcel.js").Choice | null} */
  #choice = null;
  #number = 0;
  /** @type {number | undefined} */
  #replaces;
  #onSent;

  /** @param {Desk} desk @param {() => void} onSent */
  constructor(desk, onSent) {
    super(desk, { testid: "answer-sheet", send: "answer-send" });
    this.#onSent = onSent;
    this.time = new TimeField({ page: desk.page, onChange: () => this.update() });
    this.detail = textField("answer-text");
    this.fields.append(this.time.element, this.detail.element);
  }

  /** @param {import("./parcel.js").Notice} notice @param {import("./parcel.js").Choice} choice */
  ask(notice, choice) {
    if (choice.choice !== this.#choice?.choice) this.time.clear();
    this.#choice = choice;
    this.#number = notice.number;
    this.#replaces = notice.answer?.number;
    this.open();
  }

  update() {
    super.update();
    const { words } = this;
    const form = this.#choice?.wants === "time" ? words.later : words.detail;
    text(this.title, form.title);
    text(this.button, form.send);
    text(this.detail.label, form.text);
    show(this.time.element, this.#choice?.wants === "time");
    this.time.update(words, this.desk.state().case?.time_zone, this.desk.now());
  }

  keep() {
    return keeper({ detail: this.detail });
  }

  missing() {
    const { words } = this;
    if (this.#choice?.wants !== "time") return this.detail.value ? "" : words.text_needed;
    if (this.time.at === null) return words.time_needed;
    return this.time.at <= this.desk.now() ? words.time_past : "";
  }

  send() {
    if (!this.#choice) return;
    this.say({
      kind: "answer",
      number: this.#number,
      choice: this.#choice.choice,
      ...(this.#choice.wants === "time" && this.time.at !== null && { when_at: timeOf(this.time.at) }),
      ...(this.detail.value && { detail: this.detail.value }),
      ...(this.#replaces !== undefined && { replaces: this.#replaces }),
      captured_at: timeOf(),
    });
    this.time.clear();
    this.detail.input.value = "";
    this.#onSent();
  }
}

/** Another address, time or person. */
export class ChangeSheet extends Sheet {
  /** @param {Desk} desk */
  constructor(desk) {
    super(desk, { testid: "change-sheet", send: "change-send" });
    this.what = new Tiles({ testid: "change-what", name: "what", onChange: () => this.update() });
    this.what.chosen = "address";
    this.time = new TimeField({ page: desk.page, onChange: () => this.update() });
    this.detail = textField("change-text");
    this.place = new PlaceField(() => this.update());
    this.note = h("p", { class: "quiet" });
    this.fields.append(
      this.what.element,
      this.time.element,
      this.detail.element,
      this.place.element,
      this.note,
    );
  }

  get #of() {
    return /** @type {import("./protocol.js").ChangeOf} */ (this.what.chosen ?? "address");
  }

  update() {
    super.update();
    const { words } = this;
    const { change } = words;
    text(this.title, change.title);
    text(this.button, change.send);
    this.what.update(
      change.title,
      ["address", "time", "person"],
      (what) => change.what[/** @type {"time"} */ (what)],
    );
    text(this.detail.label, change.text[this.#of]);
    show(this.time.element, this.#of === "time");
    this.time.update(words, this.desk.state().case?.time_zone, this.desk.now());
    show(this.place.element, this.#of === "address");
    this.place.update(words, this.desk.page.words);
    text(this.note, change.note);
  }

  keep() {
    return keeper({ detail: this.detail });
  }

  missing() {
    const { words } = this;
    if (this.#of !== "time") return this.detail.value ? "" : words.text_needed;
    if (this.time.at === null) return words.time_needed;
    return this.time.at <= this.desk.now() ? words.time_past : "";
  }

  send() {
    const at = this.#of === "time" ? this.time.at : null;
    const zone = this.desk.state().case?.time_zone;
    this.say({
      kind: "request_change",
      what: this.#of,
      text: this.detail.value ?? sayTime(at ?? 0, zone, this.desk.page.language),
      ...(at !== null && { when_at: timeOf(at) }),
      ...(this.#of === "address" && this.place.place && { place: this.place.place }),
      captured_at: timeOf(),
    });
    this.time.clear();
    this.place.clear();
    this.detail.input.value = "";
  }
}

/** What is wrong: its kind, photos, voice, place, words. */
export class ReportSheet extends Sheet {
  /** @param {Desk} desk */
  constructor(desk) {
    super(desk, { testid: "report-sheet", send: "report-send" });
    this.kinds = new Tiles({ testid: "exception-kind", name: "exception", onChange: () => this.update() });
    this.picker = picker(desk, true, () => this.complain(""));
    this.place = new PlaceField(() => this.update());
    this.detail = textField("report-text");
    this.unknown = h("p", { class: "quiet", role: "status" });
    this.fields.append(
      this.unknown,
      this.kinds.element,
      this.picker.element,
      this.detail.element,
      this.place.element,
    );
  }

  /** @param {string | null} [exception] the kind that is chosen at first */
  ask(exception = null) {
    if (exception !== null) this.kinds.chosen = exception;
    this.open();
    // The place of a problem on the way is where the courier is; a customer's is their home.
    if (this.desk.role === "courier" && this.place.state === "unasked") this.place.ask();
  }

  update() {
    super.update();
    const { words, desk } = this;
    const wording = desk.wording();
    text(this.title, words.report.title);
    text(this.button, words.report.send);
    show(this.unknown, wording === null);
    text(this.unknown, words.not_known);
    this.kinds.update(words.report.title, reportable(wording, desk.role), (code) =>
      wordOf(wording, `exception.${code}`, desk.page.language),
    );
    text(this.picker.label, words.report.photos);
    this.picker.attachments.update();
    text(this.detail.label, words.report.text);
    show(this.place.element, desk.role === "courier");
    this.place.update(words, desk.page.words);
  }

  keep() {
    return keeper({ tiles: this.kinds, detail: this.detail, picker: this.picker });
  }

  missing() {
    return this.kinds.chosen === null ? this.words.report.kind_needed : "";
  }

  send() {
    if (this.kinds.chosen === null) return;
    const { attachments, files } = this.picker.taken;
    this.say(
      {
        kind: "report_exception",
        exception: this.kinds.chosen,
        ...(this.detail.value && { text: this.detail.value }),
        attachments,
        ...(this.desk.role === "courier" && this.place.told_place),
        captured_at: timeOf(),
      },
      files,
    );
    this.kinds.chosen = null;
    this.picker.attachments.clear();
    this.place.clear();
    this.detail.input.value = "";
  }

  settle() {
    return this.picker.settle();
  }
}

/** How the parcel is given, or where it is left, with a photo of that. */
export class HandOverSheet extends Sheet {
  /** @param {Desk} desk */
  constructor(desk) {
    super(desk, { testid: "hand-over-sheet", send: "hand-over-send" });
    this.how = new Tiles({ testid: "hand-over-how", name: "how", onChange: () => this.update() });
    this.picker = picker(desk, false, () => this.complain(""));
    this.place = new PlaceField(() => this.update());
    this.detail = textField("hand-over-text");
    this.unknown = h("p", { class: "quiet", role: "status" });
    this.fields.append(
      this.unknown,
      this.how.element,
      this.picker.element,
      this.detail.element,
      this.place.element,
    );
  }

  /** @param {string | null} [how] what is chosen at first */
  ask(how = null) {
    if (how !== null) this.how.chosen = how;
    this.open();
    if (this.place.state === "unasked") this.place.ask();
  }

  update() {
    super.update();
    const { words, desk } = this;
    const wording = desk.wording();
    text(this.title, words.hand_over.title);
    text(this.button, words.hand_over.send);
    show(this.unknown, wording === null);
    text(this.unknown, words.not_known);
    this.how.update(words.hand_over.title, wording?.rules.hand_overs ?? [], (code) =>
      wordOf(wording, `hand_over.${code}`, desk.page.language),
    );
    text(this.picker.label, this.#needsPhoto ? words.hand_over.photos_needed : words.hand_over.photos);
    this.picker.attachments.update();
    text(this.detail.label, words.hand_over.text);
    this.place.update(words, desk.page.words);
  }

  get #needsPhoto() {
    return this.how.chosen !== null && this.how.chosen !== "in_person";
  }

  keep() {
    return keeper({ tiles: this.how, detail: this.detail, picker: this.picker });
  }

  missing() {
    const { hand_over } = this.words;
    if (this.how.chosen === null) return hand_over.how_needed;
    return this.#needsPhoto && this.picker.taken.attachments.length === 0 ? hand_over.photo_needed : "";
  }

  send() {
    if (this.how.chosen === null) return;
    const { attachments, files } = this.picker.taken;
    this.say(
      {
        kind: "hand_over",
        how: this.how.chosen,
        ...(this.detail.value && { text: this.detail.value }),
        attachments,
        ...(this.place.place && { place: this.place.place }),
        captured_at: timeOf(),
      },
      files,
    );
    this.how.chosen = null;
    this.picker.attachments.clear();
    this.place.clear();
    this.detail.input.value = "";
  }
}

/** @typedef {"confirm" | "reserve" | "refuse"} Receipt */

/** Confirming, with a reservation or without, and refusing: what is said stands there word for word. */
export class ReceiptSheet extends Sheet {
  /** @type {Receipt} */
  #how = "confirm";
  /** @type {import("./parcel.js").HandedOver | null} */
  #handed_over = null;

  /** @param {Desk} desk */
  constructor(desk) {
    super(desk, { testid: "receipt-sheet", send: "receipt-send" });
    this.right = h("p", { class: "parcel-right" });
    this.statement = h("p", { class: "parcel-statement", testid: "receipt-statement" });
    this.kindLabel = h("p", { class: "parcel-label" });
    this.kinds = new Tiles({ testid: "exception-kind", name: "exception", onChange: () => this.update() });
    this.detail = textField("receipt-text");
    this.picker = picker(desk, true, () => this.complain(""));
    this.kindField = h("div", { class: "parcel-field" }, this.kindLabel, this.kinds.element);
    this.fields.append(this.right, this.statement, this.kindField, this.detail.element, this.picker.element);
  }

  /** @param {import("./parcel.js").HandedOver} handed_over @param {Receipt} how */
  ask(handed_over, how) {
    this.#handed_over = handed_over;
    this.#how = how;
    set(this.element, "data-how", how);
    this.open();
  }

  update() {
    super.update();
    const { words, desk } = this;
    const form = words.confirm_sheet[this.#how];
    text(this.title, form.title);
    text(this.button, form.send);
    text(this.right, this.#handed_over ? said(this.#handed_over.right, desk.page.words) : "");
    show(this.right, this.#how !== "refuse");
    text(this.statement, this.#statement());
    const plain = this.#how === "confirm";
    for (const element of [this.detail.element, this.picker.element]) show(element, !plain);
    show(this.kindField, this.#how === "reserve");
    text(this.kindLabel, words.reserve_kind);
    const wording = desk.wording();
    const kinds = reportable(wording, desk.role).filter((code) => code !== "refused");
    this.kinds.update(words.reserve_kind, kinds, (code) =>
      wordOf(wording, `exception.${code}`, desk.page.language),
    );
    text(this.detail.label, form.text);
    text(this.picker.label, words.photos);
    this.picker.attachments.update();
  }

  keep() {
    return keeper({ tiles: this.kinds, detail: this.detail, picker: this.picker });
  }

  missing() {
    return this.#how === "confirm" || this.detail.value ? "" : this.words.text_needed;
  }

  send() {
    if (!this.#handed_over) return;
    const { number } = this.#handed_over;
    const { attachments, files } =
      this.#how === "confirm" ? { attachments: [], files: [] } : this.picker.taken;
    const captured_at = timeOf();
    if (this.#how === "refuse") {
      const why = this.detail.value ?? "";
      this.say({ kind: "refuse_receipt", number, text: why, attachments, captured_at }, files);
    } else {
      this.say(
        {
          kind: "confirm",
          number,
          statement: this.#statement(),
          language: this.desk.page.language,
          ...(this.#how === "reserve" && {
            ...(this.detail.value && { reservation: this.detail.value }),
            ...(this.kinds.chosen && { exception: this.kinds.chosen }),
          }),
          attachments,
          captured_at,
        },
        files,
      );
    }
    this.kinds.chosen = null;
    this.picker.attachments.clear();
    this.detail.input.value = "";
  }

  settle() {
    return this.picker.settle();
  }

  /** What is agreed to: the parcel, how and when it was handed over. */
  #statement() {
    const handed_over = this.#handed_over;
    if (!handed_over) return "";
    const state = this.desk.state();
    const { language, words } = this.desk.page;
    const recorded_at = state.entries[handed_over.number - 1]?.envelope.recorded_at ?? "";
    return this.words.confirm_sheet[this.#how].statement(
      state.case?.waybill ?? "",
      said(handed_over.label, words),
      sayTime(recorded_at, state.case?.time_zone, language),
    );
  }
}
