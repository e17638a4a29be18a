// @ts-check
/** The parts that the delivery's sheets are made of: tiles of which one is chosen, a time, a place. */

import { h, keyed, set, show, text } from "./dom.js";
import { fieldTime, quickTimes, readFieldTime, sayTime } from "./parcel_times.js";
import { askPlace, NoPlace } from "./place.js";

/** @typedef {import("./language.js").PageLanguage} PageLanguage */
/** @typedef {import("./protocol.js").Place} Place */

/** One of several, as buttons that stay pressed. */
export class Tiles {
  /** @type {string | null} */
  chosen = null;
  #testid;
  #name;
  #onChange;

  /** @param {{testid: string, name: string, onChange: () => void}} options name: of the data attribute that says which */
  constructor({ testid, name, onChange }) {
    this.#testid = testid;
    this.#name = `data-${name}`;
    this.#onChange = onChange;
    this.element = h("div", { class: "parcel-tiles", role: "group" });
  }

  /** @param {string} label @param {readonly string[]} codes @param {(code: string) => string} labelOf */
  update(label, codes, labelOf) {
    set(this.element, "aria-label", label);
    if (this.chosen !== null && !codes.includes(this.chosen)) this.chosen = null;
    keyed(
      this.element,
      codes,
      (code) =>
        h("button", {
          class: "parcel-tile",
          type: "button",
          testid: this.#testid,
          [this.#name]: code,
          on: {
            click: () => {
              this.chosen = code;
              this.#onChange();
            },
          },
        }),
      (tile, code) => {
        text(tile, labelOf(code));
        set(tile, "aria-pressed", String(this.chosen === code));
      },
    );
  }
}

/** A time: a few that suit most people, or any other. */
export class TimeField {
  /** Milliseconds since 1970. @type {number | null} */
  at = null;
  #page;
  #onChange;
  /** @type {string | undefined} */
  #zone;

  /** @param {{page: PageLanguage, onChange: () => void}} options */
  constructor({ page, onChange }) {
    this.#page = page;
    this.#onChange = onChange;
    this.tiles = new Tiles({
      testid: "quick-time",
      name: "at",
      onChange: () => {
        this.at = Number(this.tiles.chosen);
        this.input.value = fieldTime(this.at, this.#zone);
        onChange();
      },
    });
    this.label = h("span", { class: "parcel-label" });
    this.input = h("input", {
      class: "input",
      type: "datetime-local",
      testid: "time-input",
      on: { input: () => this.#read() },
    });
    this.element = h(
      "div",
      { class: "parcel-field" },
      this.tiles.element,
      h("label", { class: "parcel-field" }, this.label, this.input),
    );
  }

  /** @param {import("./parcel_words.js").ParcelWords} words @param {string | undefined} zone @param {number} now */
  update(words, zone, now) {
    this.#zone = zone;
    const elsewhere = zone !== undefined && fieldTime(now, zone) !== fieldTime(now, undefined);
    text(this.label, elsewhere ? words.own_time_zone(zone) : words.own_time);
    set(this.input, "min", fieldTime(now, zone));
    this.tiles.update(words.quick_times, quickTimes(now, zone).map(String), (at) =>
      sayTime(Number(at), zone, this.#page.language, now),
    );
  }

  clear() {
    this.at = null;
    this.input.value = "";
    this.tiles.chosen = null;
  }

  #read() {
    this.at = readFieldTime(this.input.value, this.#zone);
    this.tiles.chosen = null;
    this.#onChange();
  }
}

/**
 * Where the phone is, if its owner wants that to be said.
 *
 *     unasked ─► asking ─► known | failed       refused, from each of them
 */
export class PlaceField {
  /** @type {"unasked" | "asking" | "known" | "failed" | "refused"} */
  state = "unasked";
  /** @type {Place | null} */
  place = null;
  /** @type {import("./place.js").PlaceProblem} */
  #problem = "unavailable";
  #onChange;
  #attempt = 0;

  /** @param {() => void} onChange */
  constructor(onChange) {
    this.#onChange = onChange;
    this.told = h("p", { class: "parcel-place", testid: "place-state", role: "status" });
    this.share = h("button", {
      class: "text-button",
      type: "button",
      testid: "place-share",
      on: { click: () => this.ask() },
    });
    this.refuse = h("button", {
      class: "text-button",
      type: "button",
      testid: "place-refuse",
      on: { click: () => this.#refuse() },
    });
    this.element = h(
      "div",
      { class: "parcel-field" },
      this.told,
      h("div", { class: "row" }, this.share, this.refuse),
    );
  }

  /** What goes into a command. */
  get told_place() {
    return this.state === "refused" || (this.state === "failed" && this.#problem === "denied")
      ? { place_refused: true }
      : this.place && { place: this.place };
  }

  /** @param {import("./parcel_words.js").ParcelWords} words @param {import("./words.js").Words} general */
  update(words, general) {
    set(this.element, "data-state", this.state);
    const { asking, refused, problem, known } = words.place;
    const accuracy = general.metres(this.place?.accuracy_m ?? 0);
    const said = { unasked: "", asking, known: known(accuracy), failed: problem[this.#problem], refused };
    text(this.told, said[this.state]);
    text(this.share, words.place.share);
    text(this.refuse, words.place.refuse);
    show(this.share, this.state === "unasked" || this.state === "failed" || this.state === "refused");
    show(this.refuse, this.state === "asking" || this.state === "known");
  }

  async ask() {
    const attempt = ++this.#attempt;
    this.#become("asking", null);
    try {
      const place = await askPlace();
      if (attempt === this.#attempt) this.#become("known", place);
    } catch (error) {
      if (attempt !== this.#attempt) return;
      this.#problem = error instanceof NoPlace ? error.code : "unavailable";
      this.#become("failed", null);
    }
  }

  clear() {
    this.#attempt++;
    this.#become("unasked", null);
  }

  #refuse() {
    this.#attempt++;
    const held = this.element.contains(document.activeElement);
    this.#become("refused", null);
    if (held) this.share.focus(); // the button that had it is gone
  }

  /** @param {PlaceField["state"]} state @param {Place | null} place */
  #become(state, place) {
    this.state = state;
    this.place = place;
    this.#onChange();
  }
}
