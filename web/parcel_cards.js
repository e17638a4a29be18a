// @ts-check
/**
 * The delivery on a phone: the call that rings, the one card of what is to be done next, the state of what goes on
 * beside it, and the buttons for everything else. Built anew only where what it shows has changed.
 */

import { timeOf } from "./capture.js";
import { h, icon, set, show, text } from "./dom.js";
import { EntryPhotos } from "./entry_photos.js";
import { mostUrgent, newsOf } from "./parcel_news.js";
import {
  callerOf,
  isDelivered,
  isOfParcel,
  missedCall,
  nextCard,
  ringing,
  toldLast,
  waitingFor,
} from "./parcel_next.js";
import { AnswerSheet, ChangeSheet, HandOverSheet, ReceiptSheet, ReportSheet } from "./parcel_sheets.js";
import { sayTime } from "./parcel_times.js";
import { PARCEL_WORDS } from "./parcel_words.js";
import { answerWords, callerName, personOf, said, sentenceOf, wishWords } from "./sentences.js";
import { Sounds } from "./sounds.js";
import { VoucherCard } from "./voucher_card.js";
import { announceable, choiceMeant, reportable, WordingSource, wordOf } from "./wording.js";

/** @typedef {import("./parcel_next.js").Next} Next */
/** @typedef {import("./protocol.js").Command} Command */
/** @typedef {import("./protocol.js").Role} Role */
/** @typedef {import("./state.js").State} State */
/** @typedef {{sha256: string, bytes: ArrayBuffer}} File */
/** @typedef {{readonly state: State, command: (command: Command, files?: File[]) => string}} Speaker a session, as far as it is used here */

const ORDERS_SHOWN = 3; // more would push the conversation off a phone; all of them stand in it
const LOOK_AGAIN_MS = 1000; // whether a ringing is over, though no entry says so yet

export class ParcelCards {
  #session;
  #page;
  #role;
  #onCall;
  #sounds;
  #changing = false;
  /** The newest entry that has been heard, or was there before: older ones make no sound. @type {number | null} */
  #heard = null;
  #photos;
  /** What each part shows, so that it is built anew only when that changes. @type {Map<HTMLElement, string>} */
  #shown = new Map();

  /**
   * @param {{
   *   session: Speaker, page: import("./language.js").PageLanguage, role: Role,
   *   api: import("./api.js").Api, case_id: string, onCall: () => void, wording?: WordingSource, sounds?: Sounds,
   *   means: import("./talk_attachment.js").Means,
   * }} options onCall: the person wants to be in the call; `wording` and `sounds` of the page, if it has them;
   *   means: what the photos of the hand-over are shown with
   */
  constructor({ session, page, role, api, case_id, onCall, wording, sounds = new Sounds(), means }) {
    this.#session = session;
    this.#page = page;
    this.#role = role;
    this.#onCall = onCall;
    this.#sounds = sounds;
    this.wording = wording ?? new WordingSource(() => this.update(session.state));
    const desk = {
      page,
      role,
      state: () => session.state,
      wording: () => this.wording.current,
      now: () => this.#now(),
      send: (/** @type {Command} */ command, /** @type {File[]} */ files = []) => this.#send(command, files),
    };
    this.answer = new AnswerSheet(desk, () => {
      this.#changing = false;
    });
    this.change = new ChangeSheet(desk);
    this.report = new ReportSheet(desk);
    this.handOver = new HandOverSheet(desk);
    this.receipt = new ReceiptSheet(desk);
    this.#photos = new EntryPhotos({ page, means });
    this.voucher = new VoucherCard({ api, case_id, page, role });
    this.sheets = [this.answer, this.change, this.report, this.handOver, this.receipt];

    this.ring = h("section", { class: "ring-card", testid: "ring-card", hidden: true });
    this.refusal = h("p", { class: "refusal", role: "alert", testid: "parcel-refusal", hidden: true });
    this.card = h("div", { class: "parcel-place-of-card" });
    this.lines = h("ul", { class: "parcel-lines" });
    this.actions = h("div", { class: "parcel-actions" });
    this.live = h("p", { class: "for-screen-readers", role: "status" });
    this.element = h(
      "section",
      { class: "parcel", testid: "parcel" },
      this.ring,
      this.live,
      h("div", { class: "parcel-scroll" }, this.refusal, this.card, this.lines),
      this.actions,
      ...this.sheets.map(({ element }) => element),
    );
    setInterval(() => this.#updateRing(session.state), LOOK_AGAIN_MS);
    document.addEventListener("close", () => this.#updateRing(session.state), true); // a ring lay in it, perhaps
  }

  /** @param {State} state */
  update(state) {
    set(this.element, "aria-label", this.#words.label);
    const open = state.case !== null && state.case.state !== "ended";
    if (state.parcel.notice?.answer?.taken || !state.parcel.notice?.answer) this.#changing = false;
    this.#updateRing(state);
    this.#updateRefusal(state);
    const next = nextCard(state, this.#role, { changing: this.#changing });
    const beside = [this.#told(state), missedCall(state)?.envelope.number, this.#refusedWords(state)];
    this.#rebuild(this.card, [next, ...beside], () => this.#cardOf(state, next));
    const settled = next?.card === "confirmed" ? next.handed_over.settled : null;
    this.#photos.update(state, next?.card === "receipt" ? next.handed_over : null);
    this.voucher.update((settled && state.entries[settled.number - 1]) ?? null);
    this.#rebuild(this.lines, open && this.#linesShown(state), () => this.#linesOf(state));
    this.#rebuild(
      this.actions,
      [open, next?.card, next?.card === "go" && next.answer, isDelivered(state), this.#announced(state)],
      () => (open ? this.#actionsOf(state, next) : []),
    );
    for (const sheet of this.sheets) if (sheet.element.open) sheet.update();
    if (!open) for (const sheet of this.sheets) if (sheet.element.open) sheet.element.close();
    this.#notice(state);
    const parts = [this.ring, this.refusal, this.card, this.lines, this.actions];
    show(
      this.element,
      parts.some((part) => !part.hidden),
    );
  }

  get #words() {
    return PARCEL_WORDS[this.#page.language];
  }

  #now() {
    return Date.now() + this.#session.state.offset_ms;
  }

  /** @param {Command} command @param {File[]} [files] */
  #send(command, files = []) {
    this.#session.command(command, files);
  }

  /**
   * New children for a part, if what it shows has changed. Who had the focus keeps it: on the same button, else on
   * the heading.
   * @param {HTMLElement} part
   * @param {unknown} shown
   * @param {() => (HTMLElement | null | false)[]} build
   */
  #rebuild(part, shown, build) {
    const signature = JSON.stringify([this.#page.language, this.wording.current !== null, shown]);
    if (this.#shown.get(part) === signature) return;
    this.#shown.set(part, signature);
    const focused = part.contains(document.activeElement) ? document.activeElement : null;
    part.replaceChildren(...build().filter((child) => child !== null && child !== false));
    show(part, part.childElementCount > 0);
    if (!(focused instanceof HTMLElement)) return;
    const { testid } = focused.dataset;
    const same = Array.from(part.querySelectorAll("button")).find(
      (button) => button.dataset.testid === testid && keyOf(button) === keyOf(focused) && !button.disabled,
    );
    const heading = /** @type {HTMLElement | null} */ (part.querySelector("[tabindex='-1']"));
    (same ?? heading)?.focus();
  }

  // The ring

  /** @param {State} state */
  #updateRing(state) {
    const ring = ringing(state, this.#now());
    // Nothing below a dialog can be reached: then the ring stands in that.
    const home = (ring !== null && document.querySelector("dialog[open]")) || this.element;
    if (this.ring.parentElement !== home) home.prepend(this.ring);
    if (ring !== null) show(this.element, true);
    const words = this.#words.ring;
    this.#rebuild(this.ring, [ring?.call_number, ring && callerOf(state, ring.call_number)], () =>
      ring === null
        ? []
        : [
            h(
              "div",
              { class: "ring-words", role: "alert" },
              h("h2", { tabindex: -1 }, words.title(callerName(state, ring.call_number, this.#page.words))),
              h("p", { class: "quiet" }, words.text),
            ),
            h(
              "div",
              { class: "ring-buttons" },
              button("button", words.decline, "ring-decline", () => this.#send({ kind: "decline_call" })),
              button("button is-accent", words.answer, "ring-answer", this.#onCall),
            ),
          ],
    );
  }

  // What the service would not do

  /** @param {State} state */
  #updateRefusal({ refusal }) {
    const mine = refusal !== null && isOfParcel(refusal.command);
    show(this.refusal, mine);
    if (!mine) return;
    for (const sheet of this.sheets) if (refusal.command) sheet.handleRefused(refusal.command);
    set(this.refusal, "data-code", refusal.code);
    text(this.refusal, refusalOf(refusal, this.#page));
  }

  // The card

  /** @param {State} state */
  #told(state) {
    return toldLast(state, this.#role)?.envelope.number ?? null;
  }

  /** @param {State} state @param {Next | null} next @returns {(HTMLElement | null)[]} */
  #cardOf(state, next) {
    const told = toldLast(state, this.#role);
    const news =
      told?.body &&
      h(
        "p",
        { class: "parcel-news", testid: "notice-told", "data-number": told.envelope.number },
        icon("alert"),
        h("span", {}, said(told.body.text, this.#page.words)),
      );
    return [this.#missedLine(state), news ?? null, next && this.#cardFor(state, next)];
  }

  /** @param {State} state @param {Next} next @returns {HTMLElement} */
  #cardFor(state, next) {
    const words = this.#words;
    const general = this.#page.words;
    switch (next.card) {
      case "choose":
        return this.#chooseCard(next.notice, next.changing);
      case "answered": {
        const { answer, waiting } = next;
        const more = waiting ? words.waiting : answer.taken ? words.answered.taken : words.answered.open;
        return card("notice-card", "answered", [
          title(words.answered.title),
          h("p", { class: "parcel-large", testid: "given-answer" }, answerWords(answer, state, general)),
          h("p", { class: "quiet" }, more),
          !waiting &&
            !answer.taken &&
            button("button", words.answered.change, "answer-change", () => {
              this.#changing = true;
              this.update(this.#session.state);
            }),
        ]);
      }
      case "receipt":
        return this.#receiptCard(next);
      case "confirmed": {
        const { reservation } = next.handed_over.settled ?? {};
        const mine = this.#role === "customer";
        const whose = mine ? words.confirmed.with_reservation : words.confirmed.their_reservation;
        return card("confirmed-card", "confirmed", [
          title(words.confirmed.title),
          h("p", { class: "quiet" }, mine ? words.confirmed.sealed : words.confirmed.courier),
          reservation ? h("p", {}, whose(reservation)) : null,
          this.voucher.element,
        ]);
      }
      case "refused":
        return this.#role === "customer"
          ? card("receipt-card", "refused", [
              title(words.refused_parcel.customer_title),
              h("p", { class: "quiet" }, this.#refusedWords(state) ?? words.refused_parcel.customer),
            ])
          : card("receipt-card", "refused", [
              title(words.refused_parcel.courier_title),
              h("p", { class: "quiet" }, this.#refusedWords(state) ?? words.refused_parcel.courier),
            ]);
      case "decision": {
        const { order, waiting } = next;
        const { number, decision } = order;
        return card("decision-card", "decision", [
          title(words.decision.title(decision ? personOf(state, decision.actor_id, general) : "")),
          h("p", { class: "parcel-large" }, decision ? said(decision.label, general) : ""),
          decision?.remark ? h("p", {}, decision.remark) : null,
          h("p", { class: "quiet" }, words.decision.about(said(order.label, general), number)),
          button(
            "button is-accent is-main",
            waiting ? words.waiting : words.decision.acknowledge,
            "acknowledge",
            () => decision && this.#send({ kind: "acknowledge_exception", number, decided: decision.number }),
            { "data-number": number, disabled: waiting },
          ),
        ]);
      }
      case "answer": {
        const { answer, waiting } = next;
        return card("answer-card", "answer", [
          title(words.answer.title),
          h("p", { class: "parcel-huge", testid: "answer-said" }, answerWords(answer, state, general)),
          h("p", { class: "quiet" }, words.answer.changed),
          button(
            "button is-accent is-main",
            waiting ? words.waiting : words.answer.take,
            "take-answer",
            () => this.#send({ kind: "take_answer", number: answer.number }),
            { disabled: waiting },
          ),
        ]);
      }
      case "change": {
        const { what, change, waiting } = next;
        const { number } = change;
        const answer = (/** @type {boolean} */ accepted) =>
          this.#send({ kind: "answer_change", number, accepted });
        return card("change-card", "change", [
          title(words.change.request[what]),
          h("p", { class: "parcel-large" }, wishWords(change, state, general)),
          waiting ? h("p", { class: "quiet" }, words.waiting) : null,
          h(
            "div",
            { class: "parcel-pair" },
            button("button", words.change.decline, "change-decline", () => answer(false), {
              disabled: waiting,
            }),
            button("button is-accent", words.change.accept, "change-accept", () => answer(true), {
              disabled: waiting,
            }),
          ),
        ]);
      }
      case "unanswered":
        return this.#unansweredCard(next.notice);
      case "go":
        return card("answer-card", "go", [
          title(words.go.title),
          h("p", { class: "parcel-large", testid: "answer-said" }, answerWords(next.answer, state, general)),
          h("p", { class: "quiet" }, words.go.next[nextStep(next.answer)]),
        ]);
      case "awaiting": {
        const { notice } = next;
        const time = this.#time(notice.sent_at);
        return card("awaiting-card", "awaiting", [
          title(words.awaiting.title),
          h("p", { class: "quiet" }, said(notice.text, general)),
          h(
            "p",
            { class: "quiet" },
            notice.repeated ? words.awaiting.repeated(time) : words.awaiting.sent(time),
          ),
        ]);
      }
      case "handing_over":
        return card("receipt-card", "handing_over", [
          title(wordOf(this.wording.current, `hand_over.${next.how}`, this.#page.language)),
          h("p", { class: "quiet" }, words.waiting),
        ]);
      case "unconfirmed":
        return card("receipt-card", "unconfirmed", [
          title(words.unconfirmed.title),
          h("p", {}, said(next.handed_over.label, general)),
          h("p", { class: "quiet" }, words.unconfirmed.text),
        ]);
      case "begin":
        return card("begin-card", "begin", [
          title(words.announce.title),
          h("p", { class: "quiet" }, words.announce.first),
        ]);
    }
  }

  /** What was decided about a parcel that was not taken; null: nothing yet. @param {State} state */
  #refusedWords(state) {
    const { orders, handed_over } = state.parcel;
    const since = handed_over?.settled?.number ?? 0;
    const order = orders.find(({ exception, number }) => exception === "refused" && number > since);
    const words = this.#words.refused_parcel;
    if (!order?.decision) return order?.state === "closed" ? words.closed : null;
    const { actor_id, label, remark } = order.decision;
    const decided = [said(label, this.#page.words), remark].filter(Boolean).join(" · ");
    return words.decided(personOf(state, actor_id, this.#page.words), decided);
  }

  /** @param {import("./parcel.js").Notice} notice @param {boolean} changing */
  #chooseCard(notice, changing) {
    const words = this.#words;
    const general = this.#page.words;
    return card("notice-card", "choose", [
      title(said(notice.text, general)),
      h("p", { class: "quiet" }, this.#chooseHint(notice, changing)),
      h(
        "ol",
        { class: "choices" },
        ...notice.choices.map((choice, index) => {
          const chosen = notice.answer?.choice === choice.choice;
          const label = words.choose.choice(index + 1, said(choice.label, general));
          const pick = button("choice", label, "choice", () => this.#choose(notice, choice), {
            "data-choice": choice.choice,
            "data-chosen": chosen,
          });
          if (chosen) pick.append(h("span", { class: "choice-chosen" }, words.choose.chosen));
          return h("li", {}, pick);
        }),
      ),
      changing &&
        button("text-button", words.choose.keep, "answer-keep", () => {
          this.#changing = false;
          this.update(this.#session.state);
        }),
    ]);
  }

  /** @param {import("./parcel.js").Notice} notice @param {boolean} changing */
  #chooseHint(notice, changing) {
    const { choose } = this.#words;
    if (changing) return choose.instead;
    return notice.repeated ? choose.again : choose.hint;
  }

  /** @param {import("./parcel.js").Notice} notice @param {import("./parcel.js").Choice} choice */
  #choose(notice, choice) {
    if (choice.wants !== "nothing") return this.answer.ask(notice, choice);
    this.#changing = false;
    if (notice.answer?.choice === choice.choice) return this.update(this.#session.state);
    this.#send({
      kind: "answer",
      number: notice.number,
      choice: choice.choice,
      ...(notice.answer && { replaces: notice.answer.number }),
      captured_at: timeOf(),
    });
  }

  /** @param {Extract<Next, {card: "receipt"}>} next */
  #receiptCard({ handed_over, waiting }) {
    const words = this.#words;
    const general = this.#page.words;
    return card("receipt-card", "receipt", [
      title(words.receipt.title),
      h(
        "div",
        { class: "parcel-beside" },
        h("p", {}, [said(handed_over.label, general), handed_over.text].filter(Boolean).join(" · ")),
        this.#photos.element,
      ),
      h("p", { class: "parcel-right", testid: "right-to-inspect" }, said(handed_over.right, general)),
      ...(waiting
        ? [h("p", { class: "quiet" }, words.waiting)]
        : [
            button("button is-accent is-main", words.receipt.confirm, "confirm", () =>
              this.receipt.ask(handed_over, "confirm"),
            ),
            h(
              "div",
              { class: "parcel-pair" },
              button("button", words.receipt.reserve, "reserve", () =>
                this.receipt.ask(handed_over, "reserve"),
              ),
              button("button", words.receipt.refuse, "refuse", () => this.receipt.ask(handed_over, "refuse")),
            ),
          ]),
    ]);
  }

  /** @param {import("./parcel.js").Notice} notice */
  #unansweredCard({ unanswered }) {
    const general = this.#page.words;
    return card("unanswered-card", "unanswered", [
      title(unanswered ? said(unanswered.text, general) : ""),
      h(
        "ul",
        { class: "choices is-list" },
        ...(unanswered?.options ?? []).map(({ option, label }) => {
          const act = this.#actOf(option);
          const words = said(label, general);
          return h(
            "li",
            {},
            act
              ? button("choice", words, "option", act, { "data-option": option })
              : h("p", { class: "choice is-words", "data-option": option }, words),
          );
        }),
      ),
    ]);
  }

  /** What an option of the wording does here; null: the page knows only its words. @param {string} option */
  #actOf(option) {
    const rules = this.wording.current?.rules;
    if (option === "call") return this.#onCall;
    if (rules?.hand_overs.includes(option)) return () => this.handOver.ask(option);
    if (option === "take_back" && rules?.exceptions.nobody_there)
      return () => this.report.ask("nobody_there");
    return null;
  }

  // What goes on beside it

  /** @param {State} state */
  #linesShown(state) {
    const { changes, agreed } = state.parcel;
    return [
      this.#ordersBeside(state),
      changes,
      agreed,
      state.waiting.filter(({ command }) =>
        ["report_exception", "request_change", "withdraw_change"].includes(command.kind),
      ),
    ];
  }

  /** @param {State} state @returns {HTMLElement[]} */
  #linesOf(state) {
    return [
      ...this.#orderLines(state),
      ...(this.#role === "customer" ? this.#changeLines(state) : []),
      ...this.#agreedLines(state),
    ];
  }

  /** @param {State} state */
  #missedLine(state) {
    const missed = missedCall(state);
    if (!missed?.body) return null;
    const words = this.#words.ring;
    const name = callerName(state, missed.body.call_number, this.#page.words);
    return h(
      "p",
      { class: "parcel-line is-missed", testid: "missed-call", "data-number": missed.envelope.number },
      h("span", {}, words.missed(name, this.#time(missed.envelope.recorded_at))),
      button("button", words.call_back, "call-back", this.#onCall),
    );
  }

  /** Work orders that go on, save the one on the card. @param {State} state */
  #ordersBeside(state) {
    const next = nextCard(state, this.#role, { changing: false });
    const card = next?.card === "decision" ? next.order.number : null;
    return state.parcel.orders.filter(({ state, number }) => state !== "closed" && number !== card);
  }

  /** @param {State} state @returns {HTMLElement[]} */
  #orderLines(state) {
    const words = this.#words.order;
    const general = this.#page.words;
    const open = this.#ordersBeside(state);
    const shown = open.slice(-ORDERS_SHOWN);
    const coming = state.waiting.flatMap(({ id, command }) =>
      command.kind === "report_exception"
        ? [
            h(
              "li",
              { class: "parcel-line", testid: "order", "data-state": "waiting", "data-id": id },
              h(
                "span",
                {},
                wordOf(this.wording.current, `exception.${command.exception}`, this.#page.language),
              ),
              h("span", { class: "parcel-state" }, words.state.waiting),
            ),
          ]
        : [],
    );
    const lines = shown.map((order) => {
      const decided = order.decision && said(order.decision.label, general);
      const due = order.state === "open" || order.state === "taken" ? this.#dueWords(order) : null;
      return h(
        "li",
        { class: "parcel-line", testid: "order", "data-number": order.number, "data-state": order.state },
        h("span", {}, words.name(said(order.label, general), order.number)),
        h(
          "span",
          { class: "parcel-state" },
          h("span", { class: "parcel-mark" }),
          [words.state[order.state], decided, due].filter(Boolean).join(" · "),
        ),
      );
    });
    const more = open.length - shown.length;
    return [
      ...(more > 0 ? [h("li", { class: "parcel-line quiet" }, words.more(more))] : []),
      ...lines,
      ...coming,
    ];
  }

  /** @param {import("./parcel.js").Order} order */
  #dueWords(order) {
    const words = this.#words.order;
    return order.overdue ? words.overdue : words.due(this.#time(order.due_at));
  }

  /** @param {State} state @returns {HTMLElement[]} */
  #changeLines(state) {
    const words = this.#words.change;
    const general = this.#page.words;
    const asked = Object.entries(state.parcel.changes).map(([key, change]) => {
      const what = /** @type {"address"} */ (key);
      const withdrawing = waitingFor(state, "withdraw_change", ({ number }) => number === change?.number);
      return h(
        "li",
        { class: "parcel-line", testid: "change-card", "data-what": what, "data-state": "open" },
        h(
          "span",
          {},
          `${words.asked[what]}${general.colon}${change ? wishWords(change, state, general) : ""}`,
        ),
        h("span", { class: "parcel-state" }, h("span", { class: "parcel-mark" }), words.waits),
        button(
          "button",
          words.withdraw,
          "change-withdraw",
          () => change && this.#send({ kind: "withdraw_change", number: change.number }),
          { disabled: withdrawing !== null, "data-what": what },
        ),
      );
    });
    const coming = state.waiting.flatMap(({ command }) =>
      command.kind === "request_change"
        ? [
            h(
              "li",
              {
                class: "parcel-line",
                testid: "change-card",
                "data-what": command.what,
                "data-state": "waiting",
              },
              h("span", {}, `${words.asked[command.what]}${general.colon}${command.text}`),
              h("span", { class: "parcel-state" }, this.#words.order.state.waiting),
            ),
          ]
        : [],
    );
    return [...asked, ...coming];
  }

  /** @param {State} state @returns {HTMLElement[]} */
  #agreedLines(state) {
    const words = this.#words.agreed;
    const general = this.#page.words;
    return Object.entries(state.parcel.agreed).map(([key, agreed]) => {
      const what = /** @type {"address"} */ (key);
      return h(
        "li",
        { class: "parcel-line", testid: "agreed", "data-what": what },
        h("span", { class: "quiet" }, words[what]),
        h("span", {}, agreed ? wishWords(agreed, state, general) : ""),
      );
    });
  }

  // Everything else

  /** Which notices have been sent, or are about to be. @param {State} state */
  #announced(state) {
    return [state.parcel.notice?.notice, waitingFor(state, "announce")?.notice];
  }

  /** @param {State} state @param {Next | null} next @returns {(HTMLElement | false)[]} */
  #actionsOf(state, next) {
    const words = this.#words;
    const done = isDelivered(state);
    if (this.#role === "customer") {
      return [
        !done &&
          next?.card !== "receipt" &&
          button("button", words.change.open, "change-open", () => this.change.open()),
        reportable(this.wording.current, "customer").length > 0 &&
          button("button", words.report.open, "report-open", () => this.report.ask()),
      ];
    }
    if (this.#role !== "courier") return [];
    const card = next?.card ?? "begin";
    const step = next?.card === "go" ? nextStep(next.answer) : null;
    return [
      ["begin", "awaiting", "unanswered", "go", "refused"].includes(card) && this.#announceRow(state, card),
      !done &&
        button(`button${step === "give" ? " is-accent" : ""}`, words.hand_over.open, "hand-over-open", () =>
          this.handOver.ask(this.#howAnswered(state)),
        ),
      button(`button${step === "refuse" ? " is-accent" : ""}`, words.report.open, "report-open", () =>
        this.report.ask(step === "refuse" && this.report.kinds.chosen === null ? "refused" : null),
      ),
    ];
  }

  /** What the customer chose, where that is a way of handing over. @param {State} state */
  #howAnswered(state) {
    const choice = state.parcel.notice?.answer?.choice ?? null;
    if (this.handOver.how.chosen !== null) return null; // what was begun goes on
    if (choice === "now") return "in_person";
    return choice !== null && this.wording.current?.rules.hand_overs.includes(choice) ? choice : null;
  }

  /** The first time large, afterwards in one line. @param {State} state @param {Next["card"]} card */
  #announceRow(state, card) {
    const { announce } = this.#words;
    const wording = this.wording.current;
    const [sent, coming] = this.#announced(state);
    const begin = card === "begin";
    const minutesOf = (/** @type {string} */ notice) => wording?.rules.notices[notice]?.minutes ?? null;
    const notices = announceable(wording, "courier").sort(
      (one, other) => (minutesOf(one) ?? Infinity) - (minutesOf(other) ?? Infinity),
    );
    const buttons = notices.map((notice, place) => {
      const minutes = minutesOf(notice);
      const label =
        minutes === null
          ? wordOf(wording, `notice.${notice}`, this.#page.language)
          : minutes === 0
            ? announce[begin ? "arrived" : "short_arrived"]
            : announce[begin ? "minutes" : "short_minutes"](minutes);
      const element = button(
        `button${begin && place === 0 ? " is-accent" : ""}`,
        label,
        "announce",
        () => this.#send({ kind: "announce", notice, captured_at: timeOf() }),
        { "data-notice": notice, "data-sent": notice === sent, disabled: notice === coming },
      );
      if (notice === coming) element.append(h("span", { class: "announce-state" }, this.#words.sending));
      else if (notice === sent) element.append(h("span", { class: "announce-state" }, announce.sent));
      return element;
    });
    return h(
      "div",
      { class: "announce", role: "group", "aria-label": announce.title },
      !begin && h("p", { class: "quiet" }, announce.row),
      h("div", { class: `announce-row${begin ? " is-first" : ""}` }, ...buttons),
    );
  }

  // What is new

  /** What wants somebody's eyes now: heard, and read out to those who do not see. @param {State} state */
  #notice(state) {
    if (!state.synced) return;
    const first = this.#heard === null;
    const since = this.#heard ?? 0;
    this.#heard = Math.max(since, state.entries.length);
    if (first || this.#heard === since) return;
    this.#askMore(state, since);
    const me = state.you?.actor_id;
    const news = state.entries.slice(since).flatMap((entry) => {
      const sound = newsOf(entry, this.#role, me);
      return sound === null ? [] : [{ sound, words: this.#newsWords(entry, state) }];
    });
    const sound = mostUrgent(news.map((one) => one.sound));
    if (sound === null) return;
    this.#sounds.play(sound);
    text(this.live, news.map(({ words }) => words).join(" · "));
  }

  /** @param {import("./protocol.js").Entry} entry @param {State} state */
  #newsWords(entry, state) {
    const { envelope, body } = entry;
    const words = this.#words;
    const general = this.#page.words;
    switch (envelope.kind) {
      case "answered":
        return `${words.answer.title}${general.colon}${answerWords(/** @type {any} */ (body), state, general)}`;
      case "change_requested":
        return body === null ? "" : words.change.request[/** @type {"address"} */ (body.what)];
      case "handed_over":
        return words.receipt.title;
      default:
        return sentenceOf(entry, state, general);
    }
  }

  /**
   * Who writes "2" or "later" means a choice that needs a time: they are asked for it, where they wrote.
   * @param {State} state
   * @param {number} since
   */
  #askMore(state, since) {
    const { notice } = state.parcel;
    if (this.#role !== "customer" || notice?.to !== "customer" || notice.closed || notice.answer?.taken)
      return;
    if (!document.hasFocus() || document.querySelector("dialog[open]")) return;
    const codes = notice.choices.map(({ choice }) => choice);
    for (const { envelope, body } of state.entries.slice(since)) {
      if (envelope.kind !== "text" || envelope.actor_id !== state.you?.actor_id || !body) continue;
      const meant = choiceMeant(this.wording.current, codes, body.text);
      const choice = notice.choices.find((one) => one.choice === meant);
      if (choice?.wants === "time") return this.answer.ask(notice, choice);
    }
  }

  /** @param {string} time */
  #time(time) {
    return sayTime(time, this.#session.state.case?.time_zone, this.#page.language, this.#now());
  }
}

/**
 * Why the service would not do what a card asked for, in words.
 * @param {import("./state.js").Refusal} refusal
 * @param {import("./language.js").PageLanguage} page
 */
export function refusalOf({ code, command }, page) {
  /** @type {Record<string, Record<string, string>>} */
  const special = PARCEL_WORDS[page.language].refused;
  const general = page.words.refused;
  const said_generally = general[/** @type {keyof typeof general} */ (code in general ? code : "other")];
  return (command && special[command.kind]?.[code]) ?? said_generally;
}

/**
 * @param {string} testid
 * @param {string} state
 * @param {(HTMLElement | null | false)[]} children
 */
function card(testid, state, children) {
  return h("section", { class: "parcel-card", testid, "data-state": state }, ...children);
}

/** A heading that may be given the focus when the button that had it is gone. @param {string} words */
function title(words) {
  return h("h2", { class: "parcel-title", tabindex: -1 }, words);
}

/** @param {string} looks @param {string} label @param {string} testid @param {() => void} onClick @param {import("./dom.js").Attributes} [more] */
function button(looks, label, testid, onClick, more = {}) {
  return h(
    "button",
    { class: looks, type: "button", testid, ...more, on: { click: () => onClick() } },
    label,
  );
}

/** What the courier does with an answer: give the parcel, come again, or keep it. @param {{choice: string}} answer @returns {"give" | "later" | "refuse"} */
function nextStep({ choice }) {
  return choice === "later" || choice === "refuse" ? choice : "give";
}

/** Which of several buttons with the same test id it is. @param {HTMLElement} element */
function keyOf(element) {
  const { choice, notice, option, what, number } = element.dataset;
  return choice ?? notice ?? option ?? what ?? number ?? "";
}
