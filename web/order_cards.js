// @ts-check
/** The work orders of the open case: take one, decide it, close it. */

import { h, isDrawn, keyed, set, show, text } from "./dom.js";
import { may } from "./may.js";
import { isToRule, timeLeft } from "./orders.js";
import { ORDERS_WORDS } from "./orders_words.js";
import { placeLink } from "./place_link.js";
import { nameOf } from "./sentences.js";
import { say } from "./translations.js";
import { wordOf } from "./wording.js";
import { clockTime } from "./words.js";

/** @typedef {import("./parcel.js").Order} Order */
/** @typedef {import("./state.js").State} State */
/** @typedef {import("./protocol.js").Command} Command */

const MAX_REMARK_CHARACTERS = 2000; // PROTOCOL.md
const KINDS = ["take_exception", "decide_exception", "close_exception"];

/**
 * Whose turn it is with an order, for the buttons. Pure.
 * @param {Pick<Order, "state" | "taken_by">} order
 * @param {string | undefined} me
 */
export function stepsOf({ state, taken_by }, me) {
  const closed = state === "closed";
  return {
    take: !closed && taken_by !== me && state !== "acknowledged",
    decide: (isToRule({ state }) || state === "decided") && (taken_by === null || taken_by === me),
    close: state === "acknowledged" || isToRule({ state }),
    close_wants_remark: isToRule({ state }),
  };
}

/**
 * What went wrong, in the language of the page: a word of ours, or a code of the service.
 * @param {string} wrong
 * @param {import("./orders_words.js").OrdersWords} words
 * @param {import("./words.js").Words} all
 */
export function wrongWords(wrong, words, all) {
  if (wrong === "meanwhile" || wrong === "remark_wanted" || wrong === "remark_wanted_close")
    return words[wrong];
  const { refused } = all;
  return wrong === "" ? "" : refused[/** @type {"other"} */ (wrong in refused ? wrong : "other")];
}

export class OrderCards {
  #page;
  #command;
  #onShow;
  /** What went wrong with each order: `wrongWords` says it. @type {Map<number, string>} */
  #wrong = new Map();
  /** Whose remark goes out: it stays in its field until the service has taken it. @type {Set<number>} */
  #sent = new Set();
  /** @type {State | null} */
  #state = null;
  /** @type {import("./wording.js").Wording | null} */
  #wording = null;

  /**
   * @param {{
   *   page: import("./language.js").PageLanguage, command: (command: Command) => void,
   *   onShow: (number: number) => void,
   * }} options
   */
  constructor({ page, command, onShow }) {
    this.#page = page;
    this.#command = command;
    this.#onShow = onShow;
    this.title = h("h2");
    this.open = h("div", { class: "order-cards" });
    this.closedTitle = h("summary");
    this.closed = h("div", { class: "order-cards" });
    this.closedPart = h("details", { class: "order-closed" }, this.closedTitle, this.closed);
    this.element = h(
      "section",
      { class: "case-orders", testid: "case-orders", hidden: true },
      this.title,
      this.open,
      this.closedPart,
    );
  }

  /** The service has refused a command of ours, perhaps. @param {import("./state.js").Refusal} refusal @returns {boolean} */
  handleRefusal({ code, command }) {
    if (command === null || !KINDS.includes(command.kind) || !("number" in command)) return false;
    this.#wrong.set(command.number, code === "wrong_step" ? "meanwhile" : code);
    return true;
  }

  /** @param {State} state @param {import("./wording.js").Wording | null} wording @param {number} at */
  update(state, wording, at) {
    this.#state = state;
    this.#wording = wording;
    const words = ORDERS_WORDS[this.#page.language];
    const { orders } = state.parcel;
    const open = orders.filter(({ state }) => state !== "closed");
    const closed = orders.filter(({ state }) => state === "closed");
    show(this.element, orders.length > 0);
    text(this.title, words.panel);
    const draw = (/** @type {HTMLElement} */ parent, /** @type {readonly Order[]} */ list) =>
      keyed(
        parent,
        list.map(({ number }) => String(number)),
        (key) => this.#make(Number(key)),
        (card, key) => this.#update(card, Number(key), at),
      );
    draw(this.open, open);
    draw(this.closed, closed);
    show(this.closedPart, closed.length > 0);
    text(this.closedTitle, words.show_closed(closed.length));
  }

  /** @param {number} number */
  reveal(number) {
    const card = this.open.querySelector(`[data-number="${number}"]`);
    if (!(card instanceof HTMLElement)) return;
    card.scrollIntoView({ block: "nearest" });
    this.#focusNext(card);
  }

  /** @param {HTMLElement} card */
  #focusNext(card) {
    const next = Array.from(card.querySelectorAll("button")).find(
      (button) => button.classList.contains("order-act") && isDrawn(button),
    );
    (next ?? card.querySelector("button"))?.focus();
  }

  /** Whether a command on this order is on its way. @param {number} number */
  #isBusy(number) {
    const waiting = this.#state?.waiting ?? [];
    return waiting.some(({ command }) => "number" in command && command.number === number);
  }

  /** @param {number} number */
  #orderOf(number) {
    return this.#state?.parcel.orders.find((order) => order.number === number);
  }

  /** @param {number} number */
  #make(number) {
    const remark = h("textarea", {
      class: "input order-remark",
      testid: "order-remark",
      maxlength: MAX_REMARK_CHARACTERS,
      rows: 1,
      id: `remark-${number}`,
    });
    const act = (/** @type {string} */ testid, /** @type {string} */ part, /** @type {() => void} */ click) =>
      h("button", { class: "button order-act", type: "button", testid, "data-part": part, on: { click } });
    const part = (/** @type {string} */ name) => h("span", { "data-part": name });
    return h(
      "article",
      { class: "order-card", testid: "order" },
      h(
        "header",
        { class: "order-head" },
        h("h3", { "data-part": "label" }),
        h("span", { class: "order-due", "data-part": "due" }),
        h("button", {
          class: "text-button",
          type: "button",
          testid: "order-entry",
          "data-part": "entry",
          on: { click: () => this.#onShow(number) },
        }),
      ),
      h(
        "div",
        { class: "order-line" },
        h("p", { class: "state order-state" }, h("span", { class: "state-mark" }), part("state")),
        h("p", { class: "quiet", "data-part": "reported" }),
        h("p", { class: "quiet", "data-part": "attached" }),
        h("p", { "data-part": "place" }),
      ),
      h("p", { class: "order-text", "data-part": "text" }),
      h("p", { class: "order-decision", testid: "order-decision", "data-part": "decision" }),
      h(
        "div",
        { class: "order-holder" },
        h("span", { "data-part": "holder", testid: "order-holder" }),
        act("order-take", "take", () => this.#take(number)),
        act("order-close", "close", () => this.#close(number)),
      ),
      h(
        "div",
        { class: "order-decide", "data-part": "decide" },
        h("label", { for: `remark-${number}`, "data-part": "remark_label" }),
        remark,
        h("div", { class: "row", role: "group", "data-part": "decisions" }),
      ),
      h("p", { class: "refusal", role: "alert", testid: "order-refusal", "data-part": "wrong" }),
    );
  }

  /** @param {HTMLElement} card @param {number} number @param {number} at */
  #update(card, number, at) {
    const [order, state] = [this.#orderOf(number), this.#state];
    if (!order || !state) return;
    const { language, words: all } = this.#page;
    const words = ORDERS_WORDS[language];
    const zone = state.case?.time_zone;
    const me = state.you?.actor_id;
    const role = state.you?.role;
    const ended = state.case?.state === "ended";
    const busy = this.#isBusy(number);
    const field = /** @type {HTMLTextAreaElement} */ (card.querySelector("textarea"));
    if (!busy && this.#sent.delete(number) && !this.#wrong.has(number)) field.value = "";
    const held = card.contains(document.activeElement) ? document.activeElement : null;
    const steps = stepsOf(order, me);
    const part = (/** @type {string} */ name) =>
      /** @type {HTMLElement} */ (card.querySelector(`[data-part=${name}]`));
    const { late, minutes } = timeLeft(order.due_at, at);
    const waits = isToRule(order);
    set(card, "data-number", number);
    set(card, "data-state", order.state);
    set(card, "data-late", waits && (late || order.overdue));
    set(card, "aria-busy", String(busy));
    text(part("label"), say(order.label, [language]));
    const due = [words.due(clockTime(order.due_at, zone).slice(0, 5))];
    if (waits) due.push((late ? words.late : words.left)(minutes));
    else if (order.overdue) due.push(words.was_overdue);
    text(part("due"), due.join(" · "));
    text(part("entry"), words.show_entry(number));
    const shape = { open: "connecting", taken: "connecting", decided: "offline", acknowledged: "connected" };
    const stateLine = /** @type {HTMLElement} */ (card.querySelector(".order-state"));
    set(stateLine, "data-state", order.state === "closed" ? "ended" : shape[order.state]);
    text(part("state"), busy ? all.sending : words.state[order.state]);
    const who = nameOf(state, order.reported_by, all);
    text(part("reported"), words.from(who, clockTime(order.reported_at, zone)));
    text(part("text"), order.text ?? "");
    show(part("text"), order.text !== null);
    const media = order.attachments.map(({ medium }) => words[medium]);
    text(part("attached"), media.join(all.and));
    show(part("attached"), media.length > 0);
    const place = part("place");
    show(place, order.place !== null || order.place_refused);
    if (order.place_refused) text(place, words.place_refused);
    else if (order.place && place.childElementCount === 0) place.append(placeLink(order.place));
    if (order.place) text(/** @type {Element} */ (place.firstElementChild), words.open_map);
    const { decision } = order;
    const told = decision ? [say(decision.label, [language]), decision.remark].filter(Boolean) : [];
    text(part("decision"), decision ? `${words.decision}${all.colon}${told.join(" · ")}` : "");
    show(part("decision"), decision !== null);
    const holder = order.taken_by === null ? null : nameOf(state, order.taken_by, all);
    text(
      part("holder"),
      holder === null ? words.nobody : order.taken_by === me ? words.yours : words.theirs(holder),
    );
    show(/** @type {HTMLElement} */ (part("holder").parentElement), order.state !== "closed");
    const take = /** @type {HTMLButtonElement} */ (part("take"));
    show(take, !ended && steps.take && may("take_exception", role));
    text(take, holder === null ? words.take : words.take_over(holder));
    set(take, "aria-disabled", busy ? "true" : null);
    const decides = !ended && steps.decide && may("decide_exception", role);
    show(part("decide"), decides);
    text(part("remark_label"), words.remark);
    set(field, "placeholder", words.remark_hint);
    set(part("decisions"), "aria-label", order.state === "decided" ? words.decide_anew : words.decide_title);
    if (decides) this.#drawDecisions(part("decisions"), number, busy);
    const close = /** @type {HTMLButtonElement} */ (part("close"));
    const mine = order.taken_by === null || order.taken_by === me;
    show(
      close,
      !ended &&
        steps.close &&
        (mine || !steps.close_wants_remark) &&
        order.state !== "closed" &&
        may("close_exception", role),
    );
    text(close, words.close);
    set(close, "aria-disabled", busy ? "true" : null);
    const wrong = this.#wrong.get(number) ?? "";
    text(part("wrong"), wrongWords(wrong, words, all));
    show(part("wrong"), wrong !== "");
    // What was pressed may be gone by its own effect: the keys go on with what is next.
    if (held instanceof HTMLElement && !isDrawn(held)) this.#focusNext(card);
  }

  /** @param {HTMLElement} parent @param {number} number @param {boolean} busy */
  #drawDecisions(parent, number, busy) {
    keyed(
      parent,
      Object.keys(this.#wording?.rules.decisions ?? {}),
      (code) =>
        h("button", {
          class: "button order-act",
          type: "button",
          testid: "order-decide",
          "data-decision": code,
          on: { click: () => this.#decide(number, code) },
        }),
      (button, code) => {
        set(button, "aria-disabled", busy ? "true" : null);
        text(button, wordOf(this.#wording, `decision.${code}`, this.#page.language));
      },
    );
  }

  /** @param {number} number */
  #remarkOf(number) {
    const field = /** @type {HTMLTextAreaElement | null} */ (document.getElementById(`remark-${number}`));
    return { field, remark: field?.value.trim() ?? "" };
  }

  /** @param {number} number @param {Command} command */
  #give(number, command) {
    // A button that is disabled would lose the focus: it says that it is, and nothing goes out twice.
    if (this.#isBusy(number)) return;
    this.#wrong.delete(number);
    this.#sent.add(number);
    this.#command(command);
  }

  /** @param {number} number */
  #take(number) {
    const order = this.#orderOf(number);
    if (!order) return;
    const instead = order.taken_by === null ? {} : { instead_of: order.taken_by };
    this.#give(number, { kind: "take_exception", number, ...instead });
  }

  /** @param {number} number @param {string} decision */
  #decide(number, decision) {
    const rule = this.#wording?.rules.decisions[decision];
    const { field, remark } = this.#remarkOf(number);
    if (rule?.wants_remark && remark === "") return this.#miss(number, "remark_wanted", field);
    this.#give(number, { kind: "decide_exception", number, decision, ...(remark !== "" && { remark }) });
  }

  /** @param {number} number */
  #close(number) {
    const order = this.#orderOf(number);
    if (!order) return;
    const { field, remark } = this.#remarkOf(number);
    if (remark === "" && isToRule(order)) return this.#miss(number, "remark_wanted_close", field);
    this.#give(number, { kind: "close_exception", number, ...(remark !== "" && { remark }) });
  }

  /** @param {number} number @param {string} what @param {HTMLElement | null} field */
  #miss(number, what, field) {
    this.#wrong.set(number, what);
    field?.focus();
    if (this.#state) this.update(this.#state, this.#wording, Date.now() + this.#state.offset_ms);
  }
}
