// @ts-check
/** The work orders of the open case: take one, decide it, close it. */

import { h, keyed, set, show, text } from "./dom.js";
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

export class OrderCards {
  #page;
  #command;
  #onShow;
  /** What went wrong with each order, in words that are made anew for each language. @type {Map<number, "meanwhile" | "remark_wanted" | "remark_wanted_close" | string>} */
  #wrong = new Map();
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
  handleRefusal({ code, message, command }) {
    if (command === null || !KINDS.includes(command.kind) || !("number" in command)) return false;
    this.#wrong.set(command.number, code === "meanwhile" || code === "wrong_step" ? "meanwhile" : message);
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
    const first = card.querySelector("button:not([hidden]):not(:disabled).order-act");
    if (first instanceof HTMLElement) first.focus();
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
    const busy = state.waiting.some(({ command }) => "number" in command && command.number === number);
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
    take.disabled = busy;
    const decides = !ended && steps.decide && may("decide_exception", role);
    show(part("decide"), decides);
    text(part("remark_label"), words.remark);
    set(/** @type {HTMLElement} */ (card.querySelector("textarea")), "placeholder", words.remark_hint);
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
    close.disabled = busy;
    const wrong = this.#wrong.get(number) ?? "";
    const known = /** @type {Record<string, any>} */ (words)[wrong];
    text(part("wrong"), typeof known === "string" ? known : wrong);
    show(part("wrong"), wrong !== "");
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
        button.disabled = busy;
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
    this.#wrong.delete(number);
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
    if (field) field.value = "";
    this.#give(number, { kind: "decide_exception", number, decision, ...(remark !== "" && { remark }) });
  }

  /** @param {number} number */
  #close(number) {
    const order = this.#orderOf(number);
    if (!order) return;
    const { field, remark } = this.#remarkOf(number);
    if (remark === "" && isToRule(order)) return this.#miss(number, "remark_wanted_close", field);
    if (field) field.value = "";
    this.#give(number, { kind: "close_exception", number, ...(remark !== "" && { remark }) });
  }

  /** @param {number} number @param {string} what @param {HTMLElement | null} field */
  #miss(number, what, field) {
    this.#wrong.set(number, what);
    field?.focus();
    if (this.#state) this.update(this.#state, this.#wording, Date.now() + this.#state.offset_ms);
  }
}
